"""Weight decay."""

from danlu.optim.decay.cautious import Cautious
from danlu.optim.decay.constrained import Constrained
from danlu.optim.decay.decoupled import Constant, Corrected, Decoupled, Scheduled
from danlu.optim.decay.l1 import L1, ProximalL1
from danlu.optim.decay.l2 import L2
from danlu.optim.decay.norm_loss import NormLoss
from danlu.optim.decay.proximal import Proximal
from danlu.optim.decay.stable import Stable

__all__ = [
    "L1",
    "L2",
    "Cautious",
    "Constant",
    "Constrained",
    "Corrected",
    "Decoupled",
    "NormLoss",
    "Proximal",
    "ProximalL1",
    "Scheduled",
    "Stable",
]
