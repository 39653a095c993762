"""The trajectories of the denominator family: which preset, with which options, each belongs to."""

from tests.golden.cases import Case

__all__ = ["CASES"]

_BELIEF = {"rectify": False}
_SOFTPLUS = 1e-10  # torch's softplus, which the authors call, drops 4e-11 above k·x = 20


def _a(file, preset, *, lr=1e-2, tolerance=1e-12, **options):
    return Case(f"A_{file}.npz", preset, options, lr, tolerance, ("plain", "edge"))


CASES = [
    _a("sadam_softplus__official", "sadam", amsgrad=False, tolerance=_SOFTPLUS),
    _a("sadam_softplus_amsgrad__official", "sadam", tolerance=_SOFTPLUS),
    _a("adam_atan2__lucidrains", "adam_atan2", betas=(0.9, 0.999)),
    _a("adamw_atan2__lucidrains", "adam_atan2", betas=(0.9, 0.999), b=2.0, weight_decay=0.05),
    _a("amsgrad_hat_max__optax", "amsgrad", debias=True),
    _a("amsgrad_paper__optax", "amsgrad"),
    _a("adabelief__official", "adabelief", **_BELIEF),
    _a("adabelief__optax", "adabelief", **_BELIEF),
    _a("adabelief__pytorch_optimizer", "adabelief", **_BELIEF),
    _a("adabelief__timm", "adabelief", **_BELIEF),
    _a("adabelief_eps1e-8__official", "adabelief", eps=1e-8, **_BELIEF),
    _a("adabelief_rectified__official", "adabelief", weight_decay=0.05),
    _a("adabelief_rectified__timm", "adabelief", weight_decay=0.05),
    _a("nsgda_layer__seed003_repaired", "nsgda"),
    _a("nsgda_global__specref", "nsgda", whole=True),
    _a("signsgd__optax", "sign_sgd"),
    _a("signsgd__pytorch_optimizer", "sign_sgd"),
    _a("signum__optax", "signum"),
    _a("signum__pytorch_optimizer", "signum"),
    _a("signum_wd__pytorch_optimizer", "signum", weight_decay=0.05),
]
