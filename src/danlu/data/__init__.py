"""Data whose order and randomness are functions of (seed, epoch), not of what was drawn before."""

from danlu.data.loader import Loader
from danlu.data.tensor_loader import TensorLoader

__all__ = ["Loader", "TensorLoader"]
