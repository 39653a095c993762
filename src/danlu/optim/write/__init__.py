"""How a parameter of 16 bits is written: what the step is too small to show is kept, or shown at random."""

from danlu.optim.write.kahan import Kahan
from danlu.optim.write.stochastic import Stochastic

__all__ = ["Kahan", "Stochastic"]
