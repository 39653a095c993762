"""The golden trajectories of Prodigy, D-Adaptation and DoG."""

from tests.golden.cases import Case

__all__ = ["CASES_TUNING_FREE"]

_BOTH, _PLAIN = ("plain", "hard"), ("plain",)
_DADAPT = {"betas": (0.9, 0.99), "d0": 1e-3}
_PRODIGY = {**_DADAPT, "weight_decay": 0.1}
_CORRECTED = {"use_bias_correction": True}
_DOG = {"reps_rel": 0.01}

CASES_TUNING_FREE = [
    Case("B_prodigy__official.npz", "prodigy", _PRODIGY, 1.0, 1e-12, _BOTH),
    Case("B_prodigy__optax.npz", "prodigy", {**_PRODIGY, **_CORRECTED}, 1.0, 1e-12, _BOTH),
    Case("B_prodigy__pytorch_optimizer.npz", "prodigy", _PRODIGY, 1.0, 1.5e-6, _BOTH),  # the sources differ by as much
    Case("B_prodigy_bias__official.npz", "prodigy", {**_PRODIGY, **_CORRECTED}, 1.0, 1e-12, _BOTH),
    Case(
        "B_prodigy_safeguard_bias__official.npz",
        "prodigy",
        {**_PRODIGY, **_CORRECTED, "safeguard_warmup": True},
        1.0,
        1e-12,
        _BOTH,
    ),
    Case("B_dadapt_adam__official.npz", "dadapt_adam", _DADAPT, 1.0, 1e-12, _PLAIN),
    Case("B_dadapt_adam__optax.npz", "dadapt_adam", {**_DADAPT, **_CORRECTED}, 1.0, 1e-12, _PLAIN),
    Case("B_dadapt_adam__pytorch_optimizer.npz", "dadapt_adam", _DADAPT, 1.0, 5e-6, _PLAIN),
    Case("B_dadapt_adam_bias__official.npz", "dadapt_adam", {**_DADAPT, **_CORRECTED}, 1.0, 1e-12, _BOTH),
    Case("B_dog__official.npz", "dog", _DOG, 1.0, 1e-12, _BOTH),
    Case("B_dog__optax.npz", "dog", _DOG, 1.0, 1e-12, _BOTH),
    Case("B_ldog__official.npz", "ldog", _DOG, 1.0, 1e-12, _BOTH),
]
