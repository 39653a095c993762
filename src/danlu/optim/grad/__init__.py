"""Gradient transforms: what happens to g before any moment sees it."""

from danlu.optim.grad.clip_norm import ClipNorm
from danlu.optim.grad.clip_value import ClipValue
from danlu.optim.grad.negate import Negate

__all__ = ["ClipNorm", "ClipValue", "Negate"]
