"""Decoupled weight decay: the factor that multiplies p, for a rate λ."""

__all__ = ["constant", "corrected", "decoupled", "scheduled"]


def decoupled(lr, peak_lr, rate):
    """1 − lr·λ: the form in use."""
    return 1 - lr * rate


def constant(lr, peak_lr, rate):
    """1 − λ."""
    return 1 - rate


def corrected(lr, peak_lr, rate):
    """1 − (lr²/peak)·λ: arXiv:2506.02285."""
    return 1 - lr**2 / peak_lr * rate


def scheduled(lr, peak_lr, rate):
    """1 − (lr/peak)·λ: arXiv:1711.05101 as printed, λ times the schedule's multiplier alone."""
    return 1 - lr / peak_lr * rate
