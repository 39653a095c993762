"""SGD with gradient centralisation."""

from __future__ import annotations

from danlu.optim import decay, grad
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, Fraction, NonNegative

__all__ = ["SGDGC", "sgd_gc"]


@preset(lr=1e-2, source="Yong et al. 2020 (Gradient Centralization), arXiv:2004.01461; the authors' SGD_GC")
def sgd_gc(
    momentum: Beta = 0.9,
    dampening: Fraction = 0.0,
    weight_decay: NonNegative = 0.0,
    nesterov: bool = False,
    *,
    conv_only: bool = False,
) -> Rule:
    """G ← centralised(g + λp); b ← μb + (1 − d)g; p ← p − lr·b: SGD under which every output row keeps its mean.

    The decay is centralised too, as in the authors' code. ``conv_only`` is their GCC. 4 bytes per parameter, 0 without
    momentum.
    """
    transforms = (grad.AddPenalty(decay.L2(weight_decay)), grad.Centralize(conv_only))
    return sgd(momentum, dampening, 0.0, nesterov).but(grad=transforms, decay=None)


class SGDGC(DropIn, preset=sgd_gc):
    """SGD with gradient centralisation, with torch.optim.SGD's arguments."""
