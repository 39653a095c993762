"""Experimental: more weight for items whose gradient is orthogonal to the mean gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from danlu.loss.classes import flat, with_accuracy
from danlu.loss.loss_sum import LossSum
from danlu.loss.registry import named
from danlu.ranges import AnyNumber, Beta, NonNegative, Positive, check, hints

__all__ = ["GradTail"]


@named(source="after Chen et al., 2022, arXiv:2201.05938", stateful=True)
@final
class GradTail:
    """Σ wᵢ·CEᵢ over Σ wᵢ, wᵢ = 1 + A·exp(−((cos(gᵢ, ḡ) − p)/σ)²/(2s²)): a weighted mean for long tails. EXPERIMENTAL.

    gᵢ = (softmax(zᵢ) − onehot(yᵢ))·hᵢᵀ is item i's gradient in the last linear layer z = W·h, ḡ an average of mean
    gradients over windows, σ the standard deviation of the cosines. An item orthogonal to the common direction is rare
    but no contradiction, and gets up to 1 + A; one along it (easy, frequent) or against it (a wrong label?) gets 1.

    Unverified: only the paper's abstract was at hand and no public code was found; the form of wᵢ, its pivot and
    its normalisation are ours.

    The weights are constants to autograd and functions of earlier windows alone, so sums of micro-batches add up
    exactly; the first window is weighted evenly. Keeps W's size in memory once, twice within a window.

    Args:
        amplitude: A; 0 is `cross_entropy`.
        pivot: p, a cosine; 0 for orthogonal.
        width: s, in standard deviations of the cosine.
        beta: of the averages of ḡ and of the cosines' mean and variance, once per update.
        ignore_index: the target that marks an item as absent.

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self,
        *,
        amplitude: NonNegative = 1.0,
        pivot: AnyNumber = 0.0,
        width: Positive = 0.5,
        beta: Beta = 0.9,
        ignore_index: int = -100,
    ) -> None:
        given = {"amplitude": amplitude, "pivot": pivot, "width": width, "beta": beta}
        check("GradTail", hints(GradTail.__init__), given)
        self.amplitude, self.pivot, self.width, self.beta = amplitude, pivot, width, beta
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Be as new: no direction is known."""
        self._direction: Tensor | None = None
        self._cosine: tuple[float, float] | None = None
        self.discard()

    def discard(self) -> None:
        """Forget what the last window has shown."""
        self._noted: Tensor | None = None
        self._moments: Tensor | None = None

    def __call__(self, logits: Tensor, features: Tensor, target: Tensor) -> LossSum:
        """Return the weighted sum, Σ w, and the measures "accuracy" and "weight".

        Args:
            logits: z, shape (…, K).
            features: h, the input of the layer that made the logits, shape (…, D).
            target: y, shape (…).

        Raises:
            ValueError: when the shapes do not fit.
        """
        z, y = flat("GradTail", logits, target)
        if features.shape[:-1] != target.shape:
            shapes = f"{tuple(features.shape)} and {tuple(target.shape)}"
            raise ValueError(f"GradTail: features must be (…, D) and target (…), got {shapes}; D is the last dimension")
        valid = y != self.ignore_index
        with torch.no_grad():
            h = torch.where(valid[:, None], features.reshape(-1, features.shape[-1]).to(z), 0.0)
            one_hot = functional.one_hot(torch.where(valid, y, 0), z.shape[-1])
            e = torch.where(valid[:, None], z.softmax(-1) - one_hot, 0.0)
            cosine = self._cosines(e, h)
            w = torch.where(valid, self._weights(cosine), 0.0)
        if torch.is_grad_enabled():
            self._note(e, h, torch.where(valid, cosine, 0.0), valid)
        items = functional.cross_entropy(z, y, reduction="none", ignore_index=self.ignore_index)
        found = with_accuracy(LossSum((w * items).sum(), w.sum()), z, y, valid)
        return LossSum(found.total, found.count, {**found.measures, "weight": (w.sum(), valid.sum())})

    def advance(self) -> None:
        """Take the window's mean gradient and cosines into the averages; after each update."""
        noted, moments = self._noted, self._moments
        self.discard()
        if noted is None or moments is None or not (n := float(moments[0])):
            return
        if self._direction is not None:
            mean = float(moments[1]) / n
            self._averaged(mean, max(0.0, float(moments[2]) / n - mean * mean))
            self._direction = self.beta * self._direction.to(noted) + (1 - self.beta) * noted / n  # a loaded one is on the CPU
        else:
            self._direction = noted / n  # no scale is needed: only its direction is read

    def state_dict(self) -> dict[str, Any]:
        """Return direction, mean and variance, as of between two windows."""
        direction = None if self._direction is None else self._direction.clone()
        return {"direction": direction, "cosine": None if self._cosine is None else list(self._cosine)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._direction = None if state["direction"] is None else state["direction"].clone()
        self._cosine = None if state["cosine"] is None else (state["cosine"][0], state["cosine"][1])
        self.discard()

    def _cosines(self, e: Tensor, h: Tensor) -> Tensor:
        """⟨e·hᵀ, ḡ⟩/(‖e‖·‖h‖·‖ḡ‖) of each item; 0 where one of them is 0, and as long as there is no ḡ."""
        if self._direction is None:
            return torch.zeros_like(e[:, 0])
        mean = self._direction.to(e)
        size = torch.linalg.vector_norm(e, dim=-1) * torch.linalg.vector_norm(h, dim=-1) * torch.linalg.vector_norm(mean)
        return ((e @ mean) * h).sum(-1) / size.clamp_min(torch.finfo(e.dtype).tiny)

    def _weights(self, cosine: Tensor) -> Tensor:
        if self._cosine is None or not self._cosine[1]:
            return torch.ones_like(cosine)
        away = (cosine - self.pivot) / (self.width * math.sqrt(self._cosine[1]))
        return 1 + self.amplitude * (-away.square() / 2).exp()

    def _note(self, e: Tensor, h: Tensor, cosine: Tensor, valid: Tensor) -> None:
        gradient = e.T @ h
        moments = torch.stack([valid.sum().to(e), cosine.sum(), cosine.square().sum()])
        self._noted = gradient if self._noted is None else self._noted + gradient
        self._moments = moments if self._moments is None else self._moments + moments

    def _averaged(self, mean: float, variance: float) -> None:
        if self._cosine is not None:
            mean = self.beta * self._cosine[0] + (1 - self.beta) * mean
            variance = self.beta * self._cosine[1] + (1 - self.beta) * variance
        self._cosine = (mean, variance)
