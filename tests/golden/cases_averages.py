"""The golden trajectories of Lookahead and Schedule-Free."""

from tests.golden.cases import Case

__all__ = ["CASES_AVERAGES"]

_BOTH, _PLAIN = ("plain", "hard"), ("plain",)
_ADAMW = {"betas": (0.9, 0.99), "weight_decay": 0.1, "warmup_steps": 5}
_RADAM = {"betas": (0.9, 0.99), "weight_decay": 0.1}  # the file names lr alone; these are its sister's, met in all rows
_SGD = {"weight_decay": 0.1, "warmup_steps": 5}

CASES_AVERAGES = [
    Case("B_lookahead_sgdm__official.npz", "lookahead", {}, 1e-2, 1e-12, _BOTH),
    Case("B_lookahead_sgdm__optax.npz", "lookahead", {}, 1e-2, 1e-12, _BOTH),
    Case("B_lookahead_sgdm__pytorch_optimizer.npz", "lookahead", {}, 1e-2, 1e-12, _BOTH),
    Case("B_schedulefree_adamw__official.npz", "schedule_free_adamw", _ADAMW, 1e-2, 1e-12, _PLAIN),
    Case("B_schedulefree_adamw__official_reference.npz", "schedule_free_adamw", _ADAMW, 1e-2, 1e-12, _PLAIN),
    Case("B_schedulefree_adamw__pytorch_optimizer.npz", "schedule_free_adamw", _ADAMW, 1e-2, 1e-12, _PLAIN),
    Case("B_schedulefree_radam__official.npz", "schedule_free_radam", _RADAM, 1e-2, 1e-12, _PLAIN),
    Case("B_schedulefree_sgd__official.npz", "schedule_free_sgd", _SGD, 0.05, 1e-12, _PLAIN),
    Case("B_schedulefree_sgd__pytorch_optimizer.npz", "schedule_free_sgd", _SGD, 0.05, 1e-12, _PLAIN),
    Case("B_schedulefree_sgd_nodecay__official.npz", "schedule_free_sgd", {}, 0.05, 1e-12, _PLAIN),
    Case("B_schedulefree_sgd_nodecay__optax.npz", "schedule_free_sgd", {}, 0.05, 1e-12, _PLAIN),
]
