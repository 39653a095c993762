"""Tensors as the engine runs them: real, and flat where their storage allows it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["complexed", "compute_dtype", "flat", "real", "same_layout"]


def compute_dtype(p: Tensor) -> torch.dtype:
    """The dtype that the rule computes in: float32 or wider, whatever the parameter's."""
    return torch.float64 if p.dtype in {torch.float64, torch.complex128} else torch.float32


def real(t: Tensor) -> Tensor:
    """The tensor with complex numbers as pairs: (…, 2), as torch's optimizers see them; its memory holds what it says."""
    return torch.view_as_real(t.resolve_conj()) if t.is_complex() else t.resolve_neg()


def complexed(state: Mapping[str, Tensor], p: Tensor) -> dict[str, Tensor]:
    """The state of a parameter; a complex one's is complex where it has its shape, as torch keeps it."""
    if not p.is_complex():
        return {**state}
    pairs = {key for key, x in state.items() if x.shape == (*p.shape, 2) and x.dtype == compute_dtype(p)}
    return {key: torch.view_as_complex(x) if key in pairs else x for key, x in state.items()}


def flat(t: Tensor) -> Tensor | None:
    """A 1-D view of a tensor's own storage, in storage order, or None when the tensor is not dense in memory."""
    if t.is_contiguous():
        return t.view(-1)
    if torch.ops.aten.is_non_overlapping_and_dense.default(t):
        return t.as_strided((t.numel(),), (1,))
    return None


def same_layout(t: Tensor, like: Tensor) -> Tensor:
    """`t` itself when its strides are those of `like`, else a copy in that layout."""
    if t.stride() == like.stride() or (t.is_contiguous() and like.is_contiguous()):
        return t
    return torch.empty_like(like, dtype=t.dtype).copy_(t)
