"""What each parameter of a model is for, read from the modules that own them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from torch import Tensor, nn

__all__ = ["ROLES", "Role", "roles"]

Role: TypeAlias = Literal["matrix", "conv", "embedding", "head", "vector", "scalar"]
ROLES: tuple[Role, ...] = ("matrix", "conv", "embedding", "head", "vector", "scalar")

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_HEADS = (nn.Linear, nn.Bilinear)


def roles(model: nn.Module, head: str | None = None) -> dict[str, Role]:
    """Return the role of every parameter, by name.

    Module types decide, then the shape with its 1s left out: an (O, 1, 1, 1) gain is a vector, a (1, N, D) table a matrix. A
    weight that an embedding owns, tied or not, is an embedding; a table that no layer owns (`pos_embed`) is a matrix, which
    `when` takes by its name. The head is the last linear layer in order of definition.

    Args:
        model: the model; a parameter that is used twice has its first name.
        head: a glob over the names of the head's parameters instead ("fc.*"; "" for a model without a head).

    Returns:
        Name -> "matrix", "conv", "embedding", "head", "vector" or "scalar", in the order of ``model.named_parameters()``.
    """
    owners = dict(_owners(model))
    tables = {id(p) for m in model.modules() if isinstance(m, _EMBEDDINGS) for p in m.parameters(recurse=False)}
    last = next((name for name, (m, p) in reversed(owners.items()) if isinstance(m, _HEADS) and p.ndim >= 2), None)
    found: dict[str, Role] = {}
    for name, (module, p) in owners.items():
        is_head = name == last if head is None else fnmatchcase(name, head)
        found[name] = _role(module, p, embedding=id(p) in tables, head=is_head)
    return found


def _owners(model: nn.Module) -> Iterator[tuple[str, tuple[nn.Module, Tensor]]]:
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if id(p) not in seen:
                seen.add(id(p))
                yield (f"{prefix}.{name}" if prefix else name), (module, p)


def _role(module: nn.Module, p: Tensor, *, embedding: bool, head: bool) -> Role:
    dims = sum(size > 1 for size in p.shape)
    if embedding:
        return "embedding"
    if dims <= 1:
        return "scalar" if p.numel() == 1 else "vector"
    if head:
        return "head"
    return "conv" if dims > 2 or isinstance(module, nn.modules.conv._ConvNd) else "matrix"
