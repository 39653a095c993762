"""Keyed randomness: every seed is a pure function of what it is for, so there is no random state to save."""

from __future__ import annotations

import hashlib
import operator

import torch

__all__ = ["default_generators", "generator", "key", "seed_all"]


def key(*parts: int | str) -> int:
    """Mix the parts into a seed: the first 63 bits of blake2b over their type, length and text.

    The same parts give the same number in every process, on every platform; different ones, ``("1", 2)`` and
    ``(1, 2)`` or ``("ab", "c")`` and ``("a", "bc")``, give unrelated numbers. 63 bits fit a signed 64-bit seed.

    Args:
        *parts: whole numbers and words, such as ``key(seed, "step", 12)``.

    Returns:
        A number in [0, 2⁶³).

    Raises:
        TypeError: for a part that is neither; a float's text is no safe key.
    """
    whole = b""
    for part in parts:
        try:
            kind, text = ("s", part) if isinstance(part, str) else ("i", str(operator.index(part)))
        except TypeError:
            raise TypeError(f"key: a part must be a whole number or a word, got {part!r}") from None
        data = text.encode()
        whole += f"{kind}{len(data)}:".encode() + data
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """Return a new CPU generator seeded with `key` of the parts."""
    return torch.Generator().manual_seed(key(*parts))


def seed_all(*parts: int | str) -> None:
    """Seed torch's default generators, from which dropout draws, with `key` of the parts.

    It is cheap enough for every update (measured: 5 µs, against 190 µs of `torch.manual_seed`, which asks every
    backend first). It covers what `default_generators` covers; Python's and NumPy's own generators are left alone.

    Args:
        *parts: what the randomness is for, as in `key`.
    """
    seed = key(*parts)
    for each in default_generators():
        each.manual_seed(seed)


def default_generators() -> list[torch.Generator]:
    """Return the generators that random operations use by default: the CPU's, and each CUDA device's once in use."""
    cuda = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
    return [torch.default_generator, *cuda]
