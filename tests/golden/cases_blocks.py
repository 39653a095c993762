"""The trajectories of the rules with one second moment per block; some give each tensor its own options."""

from dataclasses import dataclass, field
from typing import Any

from tests.golden.cases import Case

__all__ = ["CASES", "Blocked"]


@dataclass(frozen=True)
class Blocked(Case):
    """A case whose tensors may have options of their own."""

    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, name: str) -> dict[str, Any]:
        """The options of the tensor `name`."""
        return {**self.options, **self.own.get(name, {})}


def _a(file, preset, lr, *, tolerance=1e-12, own=None, **options):
    return Blocked(f"A_{file}.npz", preset, options, lr, tolerance, ("plain", "edge"), own=own or {})


_MINI = {"vec": {"blocks": "element"}, "conv": {"blocks": "tensor"}}
_FAN = {"conv": {"eta": (1 / 3) ** 0.5}}  # pytorch_optimizer, and the record of the official run after it: √(1/shape[1])

CASES = [
    _a("adam_mini__official", "adam_mini", 1e-2, own=_MINI),
    _a("adam_mini_heads__official", "adam_mini", 1e-2, weight_decay=0.05, own={"vec": {"weight_decay": 0.0}}),
    _a("adam_mini_tensor__official", "adam_mini", 1e-2, blocks="tensor"),
    _a("adam_mini_tensor__pytorch_optimizer_f32", "adam_mini", 1e-2, blocks="tensor", tolerance=1e-6),
    _a("amos_scalar_v__official_jax", "amos", 2e-2, beta=0.98, own=_FAN),
    _a("amos_scalar_v__pytorch_optimizer", "amos", 2e-2, beta=0.98, own=_FAN),
    _a("amos_scalar_v_l2__official_jax", "amos", 2e-2, beta=0.98, extra_l2=1e-3, own=_FAN),
    _a("amos_row_v__official_jax", "amos", 2e-2, beta=0.98, blocks="row", own=_FAN),
    _a("amos_row_v_momentum_l2__official_jax", "amos", 2e-2, beta=0.98, momentum=0.9, extra_l2=1e-3, blocks="row", own=_FAN),
]
