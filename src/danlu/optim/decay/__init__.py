"""Weight decay."""

from danlu.optim.decay.decoupled import Constant, Corrected, Decoupled, Scheduled
from danlu.optim.decay.l2 import L2

__all__ = ["L2", "Constant", "Corrected", "Decoupled", "Scheduled"]
