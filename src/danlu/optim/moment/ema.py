"""The exponential moving average, with bias correction and a shorter memory for reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.formulas.flush import flushed, square_flushed
from danlu.optim.formulas.infinite import bounded
from danlu.optim.moment.memory import AbstractMemory
from danlu.optim.piece import Moment
from danlu.optim.values import Reading, Scalar, Scalars, Signal, Start, Tick, gradient, square
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Ema"]


@piece(source="Kingma & Ba 2014, arXiv:1412.6980")
@dataclass(frozen=True)
class Ema(Moment):
    """m ← β·m + (1 − β)·x from m₀ = 0, read as m/(1 − βᵗ), or m/(1 − Πβᵢ) where β changes.

    With `peek` it is read with a shorter memory, peek·m_old + (1 − peek)·x, while the state keeps β: Lion is
    ``Ema(0.99, peek=0.9)``, and Nesterov's momentum in EMA form is ``Ema(β, peek=β²)``. 4 bytes per parameter.

    Magnitudes (g², |g|) below 1e-36 are flushed to zero, so that a coordinate that went quiet does not fill the state with
    denormals.

    Args:
        beta: memory; the average looks back about 1/(1 − β) steps. A number, or a schedule such as `PowerDecay`.
        of: the signal x: `gradient`, `square` or `absolute`.
        debias: divide the reading by 1 − Πβᵢ.
        peek: memory of the reading, or None to read the new average.
        start: m₀; other than 0 only without `debias`.
        eps: added to x, so that it is stored (Adafactor, CAME: g² + 1e-30); None for nothing.
    """

    beta: Beta | AbstractMemory
    of: Signal = gradient
    debias: bool = True
    peek: Beta | None = None
    start: NonNegative = 0.0
    eps: Positive | None = None

    @property
    def signal(self) -> Signal:
        """What was asked for."""
        return self.of

    @property
    def exact_at_first(self) -> bool:
        """Whether it is divided by its first weight, or that weight is 1."""
        return self.peek is None and (self.debias or _at(self.beta, 1)[0] == 0.0)

    def slots(self, name: str) -> Mapping[str, Start]:
        """One slot, from `start`."""
        return {name: self.start}

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of x, and the bias correction with its square root."""
        beta, product = _at(self.beta, tick.t)
        glance = 0.0 if self.peek is None else 1.0 - self.peek
        weights = {"new": 1.0 - beta, "glance": glance, **corrections(product if self.debias else 0.0)}
        return weights if self.eps is None else {**weights, "eps": self.eps}

    def update(self, name: str, g: Tensor, old: Mapping[str, Tensor], c: Context, h: Scalars) -> dict[str, Tensor]:
        """Return m + (1 − β)·(x − m)."""
        m = self._towards(g, old[name], h, h["new"])
        return {name: m if self.of is gradient else flushed(m)}

    def read(
        self, name: str, g: Tensor, old: Mapping[str, Tensor], new: Mapping[str, Tensor], c: Context, h: Scalars
    ) -> Reading:
        """Return the average, or the glance ahead of it, with its bias correction."""
        m = new[name] if self.peek is None else self._towards(g, old[name], h, h["glance"])
        return Reading(m, self.of, h["debias"], h["root_debias"])

    def _towards(self, g: Tensor, m: Tensor, h: Scalars, share: Scalar) -> Tensor:
        """Return m moved towards x by a share of the way."""
        g = square_flushed(g) if self.of is square else g
        x = self.of(g) if self.eps is None else self.of(g) + h["eps"]
        return m + (x - (m if self.of is gradient else bounded(m))) * share


def _at(beta: float | AbstractMemory, t: int) -> tuple[float, float]:
    """Return βₜ and β₁·…·βₜ."""
    if isinstance(beta, float) or not isinstance(beta, AbstractMemory):  # the first is quick: most are floats
        return beta, beta**t
    return beta.at(t), beta.product(t)
