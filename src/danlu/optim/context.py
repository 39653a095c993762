"""What the pieces see of one step of one tensor, and the state behind it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from danlu.optim.piece import Codec, Moment
from danlu.optim.values import Reading, Scalar, Scalars, Signal

__all__ = ["Context"]


class Context:
    """One step of one tensor: old p, current g, the readings, the direction as far as it is known.

    Args:
        p: the old parameter, in the compute dtype.
        g: its gradient, in the compute dtype.
        old: stored state by key.
        store: the codec of every slot.
        h: the numbers of each piece, by path.
        dtype: the parameter's own dtype.

    Attributes:
        given: the gradient as it came, before the gradient transforms.
        u: the direction, from the direction piece on.
        lr_scale: a factor on lr that modify pieces set through `scale_lr`, or None; it scales the step and the decay.
        new: encoded parts of the new state, by state key.
        moved: the new parameter, at the end.
    """

    def __init__(
        self,
        p: Tensor,
        g: Tensor,
        old: Mapping[str, Tensor],
        store: Mapping[str, Codec],
        h: Mapping[str, Scalars],
        dtype: torch.dtype,
    ) -> None:
        self.p = p
        self.given = g
        self.g = g
        self.u = g
        self.moved = p
        self.dtype = dtype
        self.lr_scale: Scalar | None = None
        self.readings: dict[str, Reading] = {}
        self.new: dict[str, Tensor] = {}
        self.old = old
        self._store = store
        self._h = h

    @property
    def lr(self) -> Scalar:
        """The learning rate in force, ``lr_scale`` included."""
        lr = self._h[""]["lr"]
        return lr if self.lr_scale is None else lr * self.lr_scale

    def scale_lr(self, factor: Scalar) -> None:
        """Multiply lr by a factor of this tensor; the step and a decoupled decay follow."""
        self.lr_scale = factor if self.lr_scale is None else self.lr_scale * factor

    def numerator(self, name: str | None = None) -> Reading:
        """The moment `name`, or else the first signed moment, or else the gradient itself."""
        if name is not None:
            return self.readings[name]
        return next((r for r in self.readings.values() if r.of is Signal.GRADIENT), Reading(self.g))

    def denominator(self, name: str | None = None) -> Reading:
        """The moment `name`, or else the first one that holds a magnitude."""
        if name is not None:
            return self.readings[name]
        return next(r for r in self.readings.values() if r.of is not Signal.GRADIENT)

    def load(self, slot: str) -> Tensor:
        """The old value of a slot."""
        return self._decode(slot, self.old)

    def save(self, slot: str, x: Tensor) -> Tensor:
        """Keep the new value of a slot; return it as this step is to read it (fresh, or as stored)."""
        codec = self._store[slot]
        stored = codec.encode(x, self._h[f"store.{slot}"])
        parts = {f"{slot}.{part}" if part else slot: value for part, value in stored.items()}
        self.new.update(parts)
        return x if codec.fresh else self._decode(slot, parts)

    def keep(self, slot: str) -> None:
        """Leave a slot as it is stored: it is not encoded again, and the engine does not write it."""
        self.new.update(self._parts(slot, self.old))

    def run(self, name: str, moment: Moment, g: Tensor, h: Scalars) -> Reading:
        """Advance a moment by g through its store, and read it."""
        old = {slot: self.load(slot) for slot in moment.slots(name)}
        new = {slot: self.save(slot, x) for slot, x in moment.update(name, g, old, self, h).items()}
        return moment.read(name, g, old, new, self, h)

    def _decode(self, slot: str, planes: Mapping[str, Tensor]) -> Tensor:
        parts = {key[len(slot) + 1 :]: value for key, value in self._parts(slot, planes).items()}
        return self._store[slot].decode(parts, self.p)

    def _parts(self, slot: str, planes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if slot in planes:  # one part without a name, or several with names
            return {slot: planes[slot]}
        return {key: value for key, value in planes.items() if key.startswith(slot + ".")}
