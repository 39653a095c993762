"""Golden trajectories of Adam with constrained parameter regularisation, and of AdamW with a spectral bound."""

from tests.golden.cases import Case

__all__ = ["CPR", "SPECTRAL"]

_FLOAT32 = 5e-6  # the authors' code keeps λ, κ and p in float32, and λ sums R − κ over 30 steps
_BETAS = {"betas": (0.9, 0.99)}
_CPR = {**_BETAS, "overshoot": True}
_KAPPA = {"uniform": {"kappa": 1.0}, "dependent": {"kappa": 0.8}, "warm_start": {"warmup": 5}}
_BOTH = {"huber_dependent", "l1_uniform", "l2_dependent", "l2_uniform", "l2_warm_start", "std_dependent", "std_warm_start"}


def _cpr(norm: str, start: str) -> Case:
    tracks = ("plain", "hard") if f"{norm}_{start}" in _BOTH else ("plain",)
    options = {**_CPR, "norm": norm, "start": start, **_KAPPA[start]}
    return Case(f"B_adamcpr_{norm}_{start}__official.npz", "adam_cpr", options, 1e-2, _FLOAT32, tracks)


# No standard deviation of this problem reaches 1: std with the uniform bound would show nothing.
CPR = [_cpr(norm, start) for norm in ("huber", "l1", "l2", "std") for start in _KAPPA if (norm, start) != ("std", "uniform")]
# The path over all tensors; with 1000 in place of "unknown" it binds no tensor of this problem. The other looks at each step.
CPR.append(Case("B_adamcpr_l2_inflection__official_foreach.npz", "adam_cpr", {**_CPR, "every": 4}, 1e-2, _FLOAT32, ("plain",)))

SPECTRAL = {
    tau: Case(
        f"B_adamw2_spectral_tau{tau}__paper_equations_exact_svd.npz",
        "adamw",
        {**_BETAS, "weight_decay": 0.1},
        1e-2,
        1e-12,
        ("plain", "hard") if tau == 0.01 else ("plain",),
    )
    for tau in (0.002, 0.01)
}
