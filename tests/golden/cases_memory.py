"""The trajectories of the memory-saving family: which preset, with which options, each belongs to."""

from tests.golden.cases import Case

__all__ = ["CASES"]

_BOTH = ("plain", "edge")
_FLOAT32_POWER = 2e-8  # optax and Keras compute t^-0.8 in float32
_PAPER = {"eps_added": True, "dims": "last2"}
_EXTERNAL = {**_PAPER, "relative_step": False, "scale_parameter": False}
_SMMF = {"decay_rate": -0.8}
_STABLE = {"weight_decay": 0.05}


def _a(file, preset, *, lr=1e-2, tolerance=1e-12, **options):
    return Case(f"A_{file}.npz", preset, options, lr, tolerance, _BOTH)


CASES = [
    _a("adafactor_relative__transformers", "adafactor", **_PAPER),
    _a("adafactor_relative__timm", "adafactor", **_PAPER),
    _a("adafactor_relative__pytorch_optimizer", "adafactor", **_PAPER),
    _a("adafactor_relative_one_sqrt__specref", "adafactor", **_PAPER),
    _a("adafactor_relative_conv01__timm", "adafactor", eps_added=True, dims="first2"),
    _a("adafactor_relative_momentum__transformers", "adafactor", **_PAPER, momentum=0.9),
    _a("adafactor_ext_plain__transformers", "adafactor", **_EXTERNAL),
    _a("adafactor_ext_plain__timm", "adafactor", **_EXTERNAL),
    _a("adafactor_ext_plain__optax", "adafactor", **_EXTERNAL, tolerance=_FLOAT32_POWER),
    _a(
        "adafactor_ext_plain_conv_sorted__optax",
        "adafactor",
        **{**_EXTERNAL, "dims": "largest"},
        tolerance=_FLOAT32_POWER,
    ),
    _a("adafactor_ext_plain_wd__transformers", "adafactor", **_EXTERNAL, weight_decay=0.05),
    _a("adafactor_ext_scaled__transformers", "adafactor", **_PAPER, relative_step=False),
    _a("adafactor_ext_scaled__optax", "adafactor", **_PAPER, relative_step=False, tolerance=_FLOAT32_POWER),
    _a("adafactor_torch__torch", "adafactor", dims="last2"),
    _a("adafactor_torch_wd__torch", "adafactor", dims="last2", weight_decay=0.05),
    _a("adafactor_keras__keras", "adafactor", **_PAPER, tolerance=3e-8),
    _a("adafactor_bigvision__timm", "adafactor", **_EXTERNAL, momentum=0.9, lr_inside=False, beta2_cap=0.999),
    _a("sm3_ii__pytorch_optimizer", "sm3", lr=0.1, momentum=0.0),
    _a("sm3_i__specref", "sm3", lr=0.1, momentum=0.0, cover_sums=True),
    _a("sm3_ii_momentum__pytorch_optimizer", "sm3", lr=0.1),
    _a("sm3_ii_momentum_eps1e-8__optax", "sm3", lr=0.1, eps=1e-8),
    _a("smmf__official", "smmf"),
    _a("smmf__official_f32", "smmf", tolerance=1e-6),
    _a("smmf_novec__official", "smmf", **_SMMF, vector_reshape=False),
    _a("smmf_wd_nomom__official", "smmf", **_SMMF, beta=None, weight_decay=0.05),
    _a("came__official", "came", dims="last2"),
    _a("came__pytorch_optimizer", "came", dims="last2"),
    _a("came_wd__official", "came", dims="last2", weight_decay=0.05),
    _a("stableadamw__optimi", "stable_adamw", **_STABLE),
    _a("stableadamw__pytorch_optimizer", "stable_adamw", **_STABLE),
    _a("stableadamw_denom_clip__timm", "stable_adamw", **_STABLE, denominator_clip=True),
]
