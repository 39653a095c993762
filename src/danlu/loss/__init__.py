"""Losses as a sum and a count, so that a mean over any grouping of the items is exact."""

from danlu.loss.adapting import Adapting
from danlu.loss.bi_tempered import bi_tempered
from danlu.loss.binary_cross_entropy import binary_cross_entropy
from danlu.loss.class_balance import class_balanced_weights
from danlu.loss.cross_entropy import cross_entropy
from danlu.loss.focal import binary_focal, focal
from danlu.loss.grad_norm import GradNorm
from danlu.loss.grad_tail import GradTail
from danlu.loss.huber import huber
from danlu.loss.joint import joint
from danlu.loss.logit_adjusted import logit_adjusted
from danlu.loss.loss_sum import Count, LossSum, as_loss_sum
from danlu.loss.mean_squared_error import mean_squared_error
from danlu.loss.ranked import Ranked, item_weights
from danlu.loss.reduction import Reduction, total
from danlu.loss.registry import LOSSES, LossInfo, create, filled, losses
from danlu.loss.smoothing import SmoothAll, Smoothing, SmoothOthers
from danlu.loss.soft_cross_entropy import soft_cross_entropy
from danlu.loss.soft_median import SoftMedian
from danlu.loss.trimmed_mean import TrimmedMean, WinsorizedMean
from danlu.loss.z_loss import z_loss

__all__ = [
    "LOSSES",
    "Adapting",
    "Count",
    "GradNorm",
    "GradTail",
    "LossInfo",
    "LossSum",
    "Ranked",
    "Reduction",
    "SmoothAll",
    "SmoothOthers",
    "Smoothing",
    "SoftMedian",
    "TrimmedMean",
    "WinsorizedMean",
    "as_loss_sum",
    "bi_tempered",
    "binary_cross_entropy",
    "binary_focal",
    "class_balanced_weights",
    "create",
    "cross_entropy",
    "filled",
    "focal",
    "huber",
    "item_weights",
    "joint",
    "logit_adjusted",
    "losses",
    "mean_squared_error",
    "soft_cross_entropy",
    "total",
    "z_loss",
]
