"""Ensembles: several models that predict as one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.ranges import check, hints

__all__ = ["Ensemble"]


@final
class Ensemble(nn.Module):
    """log(Σ softmax(zᵢ)/n) of the logits zᵢ of n classifiers, or Σ zᵢ/n.

    The mean of the probabilities, given as log-probabilities, which are logits too: cross-entropy and argmax take
    them as they are, and softmax gives the mean back. By Jensen's inequality its cross-entropy is at most the mean of
    the models'. The mean of the logits is the normalised geometric mean of the probabilities; it is also the choice
    for regression. It costs n forward passes; nothing is shared.

    Args:
        models: at least one; called with the same arguments. They become its submodules.
        reduce: "probability" or "logit".

    Raises:
        ValueError: for no models, or an unknown `reduce`; when called, for probabilities of a single class.
    """

    def __init__(self, models: Iterable[nn.Module], reduce: Literal["probability", "logit"] = "probability") -> None:
        super().__init__()
        check("Ensemble", hints(Ensemble.__init__), {"reduce": reduce})
        self.models, self.reduce = nn.ModuleList(models), reduce
        if not self.models:
            raise ValueError("Ensemble: needs at least one model")

    def forward(self, *args: Any, **options: Any) -> Tensor:
        """Return the log-probabilities or logits (N, …, classes)."""
        logits = torch.stack([model(*args, **options) for model in self.models])
        if self.reduce == "logit":
            return logits.mean(0)
        if logits.ndim < 3 or logits.shape[-1] < 2:
            got = f"got outputs of shape {list(logits.shape[1:])}, whose softmax is no distribution over classes"
            raise ValueError(f"Ensemble: probabilities need logits (N, …, K) of K ≥ 2 classes, {got}; pass reduce='logit'")
        return functional.log_softmax(logits, dim=-1).logsumexp(0) - math.log(len(self.models))
