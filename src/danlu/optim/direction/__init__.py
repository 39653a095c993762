"""Directions: what the moments say about where to go."""

from danlu.optim.direction.plain import Plain
from danlu.optim.direction.ratio import HatRatio, InnerRatio, Ratio
from danlu.optim.direction.sign import Sign

__all__ = ["HatRatio", "InnerRatio", "Plain", "Ratio", "Sign"]
