"""Gradient release: which optimizers may step during backward, and the hooks that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from danlu.optim.rule import Rule

__all__ = ["refuse_together", "stepping_hooks"]


def refuse_together(owner: str, rule: Rule) -> None:
    """Refuse a rule whose tensors cannot step one at a time.

    Raises:
        ValueError: for a rule that sums over all gradients, shares numbers between tensors, or needs the loss or a closure.
    """
    for need in sorted(rule.needs - {"grad"}):
        raise ValueError(f"{owner}: this rule needs the {need}, which released() does not have; step after backward")
    for path, piece in rule.measures.items():
        raise ValueError(
            f"{owner}: {path} ({type(piece).__name__}) needs all gradients together, and released() frees each; "
            "leave it out, or step after backward"
        )
    if rule.shared:
        raise ValueError(
            f"{owner}: the tensors of a group share {', '.join(rule.shared)}, so none can step alone; step after backward"
        )


@contextmanager
def stepping_hooks(
    owner: str, groups: Sequence[tuple[Rule, Sequence[Tensor]]], advance: Callable[[Tensor, int], None]
) -> Iterator[None]:
    """Inside the block, call `advance` on each parameter whenever its gradient is complete, and free the gradient then.

    Args:
        owner: name of the optimizer, for messages.
        groups: the rule and the parameters of each group.
        advance: takes the parameter and the index of its group.

    Raises:
        ValueError: as `refuse_together`; no hook is there then.
    """
    for rule, _ in groups:
        refuse_together(owner, rule)
    home = {p: i for i, (_, params) in enumerate(groups) for p in params if p.requires_grad}

    def hook(p: Tensor) -> None:
        advance(p, home[p])
        p.grad = None

    handles = [p.register_post_accumulate_grad_hook(hook) for p in home]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
