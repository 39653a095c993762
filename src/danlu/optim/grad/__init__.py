"""Gradient transforms: what happens to g before any moment sees it."""

from danlu.optim.grad.adaptive_clip import AdaptiveClip, SoftClip
from danlu.optim.grad.add_penalty import AddPenalty
from danlu.optim.grad.auto_clip import AutoClip
from danlu.optim.grad.centralize import Centralize
from danlu.optim.grad.clip_norm import ClipNorm
from danlu.optim.grad.clip_tensor import ClipBlockRms, ClipTensorNorm
from danlu.optim.grad.clip_value import ClipValue
from danlu.optim.grad.fractional import Fractional
from danlu.optim.grad.negate import Negate
from danlu.optim.grad.normalize import Normalize, NormalizeAll
from danlu.optim.grad.z_clip import ZClip

__all__ = [
    "AdaptiveClip",
    "AddPenalty",
    "AutoClip",
    "Centralize",
    "ClipBlockRms",
    "ClipNorm",
    "ClipTensorNorm",
    "ClipValue",
    "Fractional",
    "Negate",
    "Normalize",
    "NormalizeAll",
    "SoftClip",
    "ZClip",
]
