"""GradNorm: weights of tasks, learnt so that all tasks train at similar rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from danlu.loss.joint import joint
from danlu.loss.loss_sum import LossSum
from danlu.loss.registry import named
from danlu.ranges import NonNegative, Positive, check, hints
from danlu.registry import refuse_unknown

__all__ = ["GradNorm"]

_LEAST = 1e-3  # a weight at 0 or below would never come back


@named(source="Chen et al., 2018, arXiv:1711.02257", stateful=True)
@final
class GradNorm:
    """L = Σᵢ wᵢ·Lᵢ; after each update w ← w − lr·∇w Σᵢ|Gᵢ − Ḡ·rᵢ^α|, then w ← T·w/Σw, with Gᵢ = ‖∇W wᵢ·Lᵢ‖₂.

    rᵢ is task i's relative inverse rate, (Lᵢ/Lᵢ(0)) over its mean over tasks: who lags gets a larger gradient. The
    target Ḡ·rᵢ^α is a constant to the derivative, which is therefore sign(Gᵢ − Ḡ·rᵢ^α)·‖∇W Lᵢ‖: no second backward
    pass through the graph. All T weights begin at 1 and sum to T. It does not divide gradients by their norm; that is
    `danlu.optim.grad.Normalize`, and other sources call it by this name.

    Call it with the parts of a loss, inside the loss function; it returns their `joint` sum. Lᵢ and ∇W Lᵢ are those of
    the whole window, whatever micro-batches it came in, and, as in `joint`, per item of the first part. The weights
    move in `advance`, once per update. Costs a backward pass from each part to `shared`, whose gradients it keeps: T
    times the memory of `shared`. One process only: other ranks would find other weights. Departs from the paper in
    that a weight is held at 1e-3 or above, before the sum is restored.

    Args:
        parts: the names of the tasks.
        shared: W, the parameters of the last layer that all tasks share, or some of them; a head will not do.
        alpha: α; 0 asks for equal norms, the paper has 1.5 for unlike tasks and 0.12 for alike ones.
        lr: of the weights; the paper's 0.025. In weights per gradient norm: where losses are in large units, lower it.
        initial: name → Lᵢ(0), above 0, such as log K for cross-entropy of K classes; by default the first window's.

    Attributes:
        weights: name → wᵢ.

    Raises:
        ValueError: for fewer than two parts, no shared parameter, or a number out of its range.
    """

    def __init__(
        self,
        parts: Iterable[str],
        shared: Tensor | Iterable[Tensor],
        *,
        alpha: NonNegative = 1.5,
        lr: Positive = 0.025,
        initial: Mapping[str, Positive] | None = None,
    ) -> None:
        check("GradNorm", hints(GradNorm.__init__), {"alpha": alpha, "lr": lr})
        self.parts = tuple(parts)
        self.shared = [shared] if isinstance(shared, Tensor) else list(shared)
        if len(set(self.parts)) < 2 or len(set(self.parts)) < len(self.parts) or not self.shared:
            what = f"got parts {list(self.parts)} and {len(self.shared)} shared parameters"
            raise ValueError(f"GradNorm: there must be two names or more, each once, and a shared parameter; {what}")
        self.alpha, self.lr = alpha, lr
        self._given = None if initial is None else self._named("initial", initial)
        self.reset()

    def reset(self) -> None:
        """Be as new: all weights 1."""
        self.weights = dict.fromkeys(self.parts, 1.0)
        self._initial = self._given
        self.discard()

    def discard(self) -> None:
        """Forget what the last window has shown."""
        self._sums: dict[str, Tensor] = {}
        self._gradients: dict[str, list[Tensor]] = {}
        self._count = 0.0

    def __call__(self, parts: Mapping[str, LossSum]) -> LossSum:
        """Return Σᵢ wᵢ·totalᵢ over the first part's count, with parts and weights ("weight/…") as measures.

        Args:
            parts: name → sum and count; all of them, in any order but the same one every time.

        Raises:
            ValueError: when a part is missing or does not depend on `shared`.
        """
        if parts.keys() != set(self.parts):
            raise ValueError(f"GradNorm: the parts are {', '.join(self.parts)}; got {', '.join(parts) or 'none'}")
        found = joint(parts, self.weights)
        if torch.is_grad_enabled():
            for name, part in parts.items():
                self._note(name, part)
            self._count = self._count + found.count
        weights = {f"weight/{name}": (w * found.count, found.count) for name, w in self.weights.items()}
        return replace(found, measures={**found.measures, **weights})

    def advance(self) -> None:
        """Move the weights by what the window has shown; after each update.

        Raises:
            ValueError: when a first loss is not above 0, from which no rate can be told, or a gradient is not finite.
        """
        count = float(self._count)
        if not count:
            self.discard()
            return
        losses = {name: float(self._sums[name]) / count for name in self.parts}
        norms = {name: _norm(self._gradients[name]) / count for name in self.parts}
        self.discard()
        if not all(map(math.isfinite, (*losses.values(), *norms.values()))):
            raise ValueError("GradNorm: a loss or gradient of the window is not finite; call discard after a skipped update")
        if self._initial is None:
            self._initial = self._named("first loss", losses)
        rates = {name: losses[name] / self._initial[name] for name in self.parts}
        tasks = len(self.parts)
        rate, size = sum(rates.values()) / tasks, sum(self.weights[name] * norms[name] for name in self.parts) / tasks
        if not rate > 0:  # all losses are 0: there is nothing left to balance
            return
        moved = {}
        for name, w in self.weights.items():
            apart = w * norms[name] - size * (rates[name] / rate) ** self.alpha
            moved[name] = max(_LEAST, w - self.lr * math.copysign(float(apart != 0), apart) * norms[name])
        self.weights = {name: tasks * w / sum(moved.values()) for name, w in moved.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return weights and first losses, as of between two windows."""
        return {"weights": dict(self.weights), "initial": None if self._initial is None else dict(self._initial)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back.

        Raises:
            ValueError: when they are of other parts; nothing is changed.
        """
        if set(state["weights"]) != set(self.parts):
            raise ValueError(f"GradNorm: the state is of the parts {', '.join(state['weights'])}, not {', '.join(self.parts)}")
        self.weights = {name: state["weights"][name] for name in self.parts}
        self._initial = None if state["initial"] is None else dict(state["initial"])
        self.discard()

    def _note(self, name: str, part: LossSum) -> None:
        found = torch.autograd.grad(part.total, self.shared, retain_graph=True, allow_unused=True)
        if any(g is None for g in found):
            raise ValueError(f"GradNorm: the part {name!r} does not depend on all of shared; name a layer that all parts share")
        old = self._gradients.get(name)
        self._gradients[name] = list(found) if old is None else [a + b for a, b in zip(old, found, strict=True)]
        self._sums[name] = self._sums.get(name, 0.0) + part.total.detach()

    def _named(self, what: str, values: Mapping[str, float]) -> dict[str, float]:
        refuse_unknown(f"GradNorm {what}", values, self.parts)
        for name in self.parts:
            if not values.get(name, 0.0) > 0:
                raise ValueError(
                    f"GradNorm: {what} of {name!r} must be above 0, got {values.get(name)}; rates are relative to it"
                )
        return {name: values[name] for name in self.parts}


def _norm(gradients: Iterable[Tensor]) -> float:
    return math.sqrt(math.fsum(float(g.double().square().sum()) for g in gradients))
