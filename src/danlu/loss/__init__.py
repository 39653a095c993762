"""Losses as a sum and a count, so that a mean over any grouping of the items is exact."""

from danlu.loss.cross_entropy import cross_entropy
from danlu.loss.loss_sum import Count, LossSum, as_loss_sum
from danlu.loss.mean_squared_error import mean_squared_error

__all__ = ["Count", "LossSum", "as_loss_sum", "cross_entropy", "mean_squared_error"]
