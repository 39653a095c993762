"""The update rules as their papers print them: NumPy float64, one tensor, no sharing of code with danlu.

Every oracle is called ``oracle(p0, grads, lrs, **options)`` and returns the list of p after each update. `grads[k]` and
`lrs[k]` belong to update t = k + 1; `grads` has the shape (steps, *p0.shape). Options have the preset's names.
"""

from tests.papers.adagrad import adagrad
from tests.papers.adam import adam, adamw
from tests.papers.adamax import adamax
from tests.papers.lion import lion
from tests.papers.nadam import nadam, nadam_simple
from tests.papers.radam import radam
from tests.papers.rmsprop import rmsprop
from tests.papers.sgd import sgd, sgd_ema, sgd_velocity, sgdw

__all__ = ["PAPERS"]

PAPERS = {
    "adagrad": adagrad,
    "adam": adam,
    "adamax": adamax,
    "adamw": adamw,
    "lion": lion,
    "nadam": nadam,
    "nadam_simple": nadam_simple,
    "radam": radam,
    "rmsprop": rmsprop,
    "sgd": sgd,
    "sgd_ema": sgd_ema,
    "sgd_velocity": sgd_velocity,
    "sgdw": sgdw,
}
