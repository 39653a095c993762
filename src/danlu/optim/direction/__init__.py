"""Directions: what the moments say about where to go."""

from danlu.optim.direction.adaptive_memory import AdaptiveMemory, ScaledMemory
from danlu.optim.direction.amos import Amos
from danlu.optim.direction.atan2 import Atan2
from danlu.optim.direction.eigenbasis import Eigenbasis
from danlu.optim.direction.orthogonal import Orthogonal
from danlu.optim.direction.plain import Plain
from danlu.optim.direction.ratio import ClampRatio, HatRatio, InnerRatio, Ratio, TwiceRatio
from danlu.optim.direction.shampoo import Shampoo
from danlu.optim.direction.sign import Sign
from danlu.optim.direction.soap import Soap
from danlu.optim.direction.softplus import Softplus

__all__ = [
    "AdaptiveMemory",
    "Amos",
    "Atan2",
    "ClampRatio",
    "Eigenbasis",
    "HatRatio",
    "InnerRatio",
    "Orthogonal",
    "Plain",
    "Ratio",
    "ScaledMemory",
    "Shampoo",
    "Sign",
    "Soap",
    "Softplus",
    "TwiceRatio",
]
