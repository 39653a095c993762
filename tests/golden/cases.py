"""Which preset, with which options, each golden trajectory belongs to."""

from dataclasses import dataclass
from typing import Any

__all__ = ["CASES", "STEPS", "Case"]

STEPS = 30


@dataclass(frozen=True)
class Case:
    """One trajectory file: ``create(preset, lr=lrs[0], **options)`` must walk it to `tolerance` on all `tracks`.

    `decay` names a decoupled weight decay other than the preset's own and its rate; `without_decay` the tensors that
    are not decayed.
    """

    file: str
    preset: str
    options: dict[str, Any]
    lr: float
    tolerance: float
    tracks: tuple[str, ...]
    falling_lr: bool = False
    decay: tuple[str, float] | None = None
    without_decay: tuple[str, ...] = ()

    @property
    def lrs(self) -> list[float]:
        """The lr of each update."""
        return [self.lr * (1 - k / STEPS) if self.falling_lr else self.lr for k in range(STEPS)]


def _a(file: str, preset: str, *, lr=1e-2, tolerance=1e-12, tracks=("plain", "edge"), decay=None, **options: Any) -> Case:
    return Case(f"A_{file}.npz", preset, options, lr, tolerance, tracks, decay=decay)


def _b(
    file: str,
    preset: str,
    *,
    lr=1e-2,
    tolerance=1e-12,
    tracks=("plain", "hard"),
    falling_lr=False,
    decay=None,
    without_decay=(),
    **options: Any,
) -> Case:
    return Case(f"B_{file}.npz", preset, options, lr, tolerance, tracks, falling_lr, decay, without_decay)


_ADAM = {"betas": (0.9, 0.99)}
_RMS = {"alpha": 0.9, "eps": 1e-6}
_FLOAT32_PRODUCT = 3e-10  # torch keeps NAdam's product of mu in float32
_DECOUPLED = {**_ADAM, "decoupled_weight_decay": True, "weight_decay": 0.1}

CASES = [
    _a("sgd__optax", "sgd"),
    _a("sgd__torch", "sgd"),
    _a("sgd_l2__optax", "sgd", weight_decay=0.05),
    _a("sgd_l2__torch", "sgd", weight_decay=0.05),
    _a("sgd_momentum__optax", "sgd", momentum=0.9),
    _a("sgd_momentum__torch", "sgd", momentum=0.9),
    _a("sgd_momentum_dampened__torch", "sgd", momentum=0.9, dampening=0.9),
    _a("sgd_nesterov__optax", "sgd", momentum=0.9, nesterov=True),
    _a("sgd_nesterov__torch", "sgd", momentum=0.9, nesterov=True),
    _a("sgd_momentum_ema__optax", "sgd_ema", momentum=0.9),
    _a("sgd_momentum_ema__optimi", "sgd_ema", momentum=0.9),
    _a("sgd_momentum_lr_inside__keras", "sgd_velocity", momentum=0.9),
    _a("sgd_nesterov_lr_inside__keras", "sgd_velocity", momentum=0.9, nesterov=True),
    _a("sgd_nesterov_lookahead_seed000__specref", "sgd_velocity", momentum=0.9, nesterov=True),
    _a("sgdw__timm", "sgdw", momentum=0.9, weight_decay=0.05),
    _a("rmsprop_eps_out__optax", "rmsprop", alpha=0.9, eps=1e-8),
    _a("rmsprop_eps_out__torch", "rmsprop", alpha=0.9, eps=1e-8),
    _a("rmsprop_eps_in__keras", "rmsprop", **_RMS, eps_inside=True),
    _a("rmsprop_eps_in__optax", "rmsprop", **_RMS, eps_inside=True),
    _a("rmsprop_eps_in_init1__optax", "rmsprop", **_RMS, eps_inside=True, initial_square_avg=1.0),
    _a("rmsprop_eps_in_init1__timm", "rmsprop", **_RMS, eps_inside=True, initial_square_avg=1.0),
    _a("rmsprop_centered_eps_in__keras", "rmsprop", **_RMS, centered=True, eps_inside=True),
    _a("rmsprop_centered_eps_in__optax", "rmsprop", **_RMS, centered=True, eps_inside=True),
    _a("rmsprop_centered_eps_out__torch", "rmsprop", **_RMS, centered=True),
    _a("rmsprop_momentum__torch", "rmsprop", alpha=0.9, eps=1e-8, momentum=0.9),
    _a("rmsprop_momentum_lr_inside__optax", "rmsprop", alpha=0.9, eps=1e-8, momentum=0.9, lr_inside=True),
    _a("rmsprop_nesterov_eps_in__optax", "rmsprop", **_RMS, momentum=0.9, nesterov=True, eps_inside=True),
    _a("adagrad__torch", "adagrad", lr=0.1),
    _a("adagrad_eps_in__keras", "adagrad", lr=0.1, eps=1e-7, initial_accumulator_value=0.1, eps_inside=True),
    _a("adagrad_eps_in__optax", "adagrad", lr=0.1, eps=1e-7, initial_accumulator_value=0.1, eps_inside=True),
    _a("adagrad_lr_decay__torch", "adagrad", lr=0.1, lr_decay=0.05, initial_accumulator_value=0.1),
    _a("adam__optax", "adam"),
    _a("adam__optimi", "adam"),
    _a("adam__torch", "adam"),
    _a("adam_eps_hat__keras", "adam", eps_hat=True),
    _a("adam_l2__optimi", "adam", weight_decay=0.05),
    _a("adam_l2__torch", "adam", weight_decay=0.05),
    _a("amsgrad_raw_max__torch", "adam", amsgrad=True),
    _a("amsgrad_raw_max_eps_hat__keras", "adam", amsgrad=True, eps_hat=True),
    _a("adamw__optax", "adamw", weight_decay=0.05),
    _a("adamw__optimi", "adamw", weight_decay=0.05),
    _a("adamw__timm", "adamw", weight_decay=0.05),
    _a("adamw__torch", "adamw", weight_decay=0.05),
    _a("adamw_fully_decoupled__optimi", "adamw", decay=("Scheduled", 1e-3)),
    _a("adamax__pytorch_optimizer", "adamax"),
    _a("adamax_eps_in_max__optax", "adamax"),
    _a("adamax_eps_in_max__torch", "adamax"),
    _a("adamax_eps_out__keras", "adamax", eps_outside=True),
    _a("nadam__timm", "nadam"),
    _a("nadam__torch", "nadam", tolerance=_FLOAT32_PRODUCT),
    _a("nadam_dozat_nosched__optax", "nadam", momentum_decay=float("inf")),
    _a("nadam_dozat_nosched__torch", "nadam", momentum_decay=1e9, tolerance=3e-8),  # the float32 product again
    _a("nadam_psi1__keras", "nadam", momentum_decay=1.0),
    _a("nadam_psi1__torch", "nadam", momentum_decay=1.0, tolerance=_FLOAT32_PRODUCT),
    _a("nadamw__torch", "nadam", weight_decay=0.05, decoupled_weight_decay=True, tolerance=_FLOAT32_PRODUCT),
    _a("nadam_simple__timm", "nadam_simple"),
    _a("nadamw_simple__timm", "nadam_simple", weight_decay=0.05, decoupled_weight_decay=True),
    _a("radam_gt5_sgd__torch", "radam"),
    _a("radam_ge5_sgd__optax", "radam", eps_hat=False),
    _a("radam_ge5_sgd__optimi", "radam", eps_hat=False),
    _a("radam_ge5_sgd__official_f32", "radam", tolerance=1e-6),  # the authors compute in float32
    _a("radam_ge5_noop__official_f32", "radam", unadapted=False, tolerance=1e-6),
    _a("radam_ge4_sgd__optax", "radam", threshold=4.0, eps_hat=False),
    _a("lion__lucidrains", "lion", weight_decay=0.05),
    _a("lion__official", "lion", weight_decay=0.05),
    _a("lion__optax", "lion", weight_decay=0.05),
    _a("lion__optimi", "lion", weight_decay=0.05),
    _a("lion__pytorch_optimizer", "lion", weight_decay=0.05),
    _a("lion__timm", "lion", weight_decay=0.05),
    _a("lion_nowd__keras", "lion"),
    _b("sgd_momentum_l2__optax", "sgd", momentum=0.9, weight_decay=0.1, tracks=("plain",)),
    _b("sgd_momentum_l2__torch", "sgd", momentum=0.9, weight_decay=0.1, tracks=("plain",)),
    _b("sgd_nesterov_l2__optax", "sgd", momentum=0.9, weight_decay=0.1, nesterov=True),
    _b("sgd_nesterov_l2__torch", "sgd", momentum=0.9, weight_decay=0.1, nesterov=True),
    _b("sgdw__optax", "sgdw", momentum=0.9, weight_decay=0.1),
    _b("sgdw__optimi", "sgdw", momentum=0.9, weight_decay=0.1),
    _b("sgdw__pytorch_optimizer", "sgdw", momentum=0.9, weight_decay=0.1),
    _b("sgdw__timm", "sgdw", momentum=0.9, weight_decay=0.1),
    _b("adam_l2__optax", "adam", **_ADAM, weight_decay=0.1),
    _b("adam_l2__optimi", "adam", **_ADAM, weight_decay=0.1),
    _b("adam_l2__torch", "adam", **_ADAM, weight_decay=0.1),
    # HeavyBall computes in float32, and clamps at eps: another rule where gradients are small (the hard track).
    _b("adamw__heavyball", "adamw", **_ADAM, weight_decay=0.1, tracks=("plain",), tolerance=1e-6),
    _b("adamw__optax", "adamw", **_ADAM, weight_decay=0.1),
    _b("adamw__optimi", "adamw", **_ADAM, weight_decay=0.1),
    _b("adamw__pytorch_optimizer", "adamw", **_ADAM, weight_decay=0.1),
    _b("adamw__timm", "adamw", **_ADAM, weight_decay=0.1),
    _b("adamw__torch", "adamw", **_ADAM, weight_decay=0.1),
    _b("adamw_no_decay_1d__optax", "adamw", **_ADAM, weight_decay=0.1, without_decay=("v", "s")),
    _b("adamw_fully_decoupled__optimi", "adamw", **_ADAM, decay=("Scheduled", 1e-3), tracks=("plain",)),
    _b(
        "adamw_fully_decoupled_sched__optimi",
        "adamw",
        **_ADAM,
        decay=("Scheduled", 1e-3),
        falling_lr=True,
        tracks=("plain",),
    ),
    _b("adamc_corrected_decay__timm", "adamw", **_ADAM, decay=("Corrected", 0.1), falling_lr=True),
    _b("nadam_plain__optax", "nadam", **_ADAM, momentum_decay=float("inf"), tracks=("plain",)),
    _b("nadam_schedule__timm_legacy", "nadam", **_ADAM),
    _b("nadam_schedule__torch", "nadam", **_ADAM, tolerance=_FLOAT32_PRODUCT),
    _b("nadamw_decoupled__torch", "nadam", **_DECOUPLED, tolerance=_FLOAT32_PRODUCT),
    _b("nadamw_plain__timm", "nadam_simple", **_DECOUPLED),
    _b("lion__optax", "lion", lr=1e-3, weight_decay=0.1),
    _b("lion__timm", "lion", lr=1e-3, weight_decay=0.1),
]
