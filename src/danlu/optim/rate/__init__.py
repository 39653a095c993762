"""Rates: factors on the learning rate that the rule itself computes."""

from danlu.optim.rate.inverse_time import InverseTime

__all__ = ["InverseTime"]
