"""A length of training: ``200`` updates, ``"10ep"``, ``"5%"`` of the run, ``"1e6samples"``, ``"2h"``, ``"9min"``, ``"9s"``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, cast, final

from danlu.ranges import NonNegative, check, hints

__all__ = ["Duration", "Unit"]

Unit = Literal["st", "ep", "%", "samples", "s", "min", "h"]

_FORM = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?) ?(st|ep|%|samples|s|min|h|)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_UNCOUNTED = ("samples", *_SECONDS)  # units with no number of updates that is known beforehand


@final
@dataclass(frozen=True)
class Duration:
    """An `amount` of a `unit`; `Duration.parse` reads the short form and `str` writes it back.

    Args:
        amount: how many; whole for updates, fractions allowed for epochs and per cent.
        unit: ``"st"`` updates of the optimizer (not batches: they differ under accumulation), ``"ep"`` epochs,
            ``"%"`` of the whole run, at most 100; ``"samples"``, the items that the loss counts; ``"s"``, ``"min"`` and
            ``"h"`` of wall time, a resumed run's earlier parts included.

    Raises:
        ValueError: on a negative or infinite amount, a part of an update, more than 100 %, an unknown unit.
    """

    amount: NonNegative
    unit: Unit = "st"

    def __post_init__(self) -> None:
        check("duration", hints(Duration), {"amount": self.amount, "unit": self.unit})
        if self.unit == "st" and self.amount != int(self.amount):
            raise ValueError(f"duration '{self}' is not a whole number of updates; write '{round(self.amount)}st'")
        if self.unit == "%" and self.amount > 100:
            raise ValueError(f"duration '{self}' is longer than the run; write at most '100%', or updates ('200st')")

    @classmethod
    def parse(cls, value: int | str | Duration) -> Duration:
        """Read 200 or ``"200st"`` (updates), ``"10ep"`` (epochs), ``"5%"`` (of the whole run), ``"1e6samples"`` or ``"2h"``.

        Args:
            value: a number of updates, a text, or a Duration, which is returned as it is.

        Returns:
            The duration.

        Raises:
            ValueError: when the text has another form, with the right ones; a bare 0.05 is no duration.
        """
        if isinstance(value, Duration):
            return value
        if isinstance(value, Integral) and not isinstance(value, bool):
            return cls(int(value))
        found = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            right = "200 or '200st' (updates), '10ep' (epochs), '5%' (of the whole run), '1e6samples', '2h', '30min' or '90s'"
            raise ValueError(f"duration {value!r} is not understood; write {right}")
        return cls(float(found[1]), cast("Unit", found[2] or "st"))

    @property
    def kind(self) -> Unit:
        """What is counted: the unit, and ``"s"`` for every time."""
        return "s" if self.unit in _SECONDS else self.unit

    @property
    def size(self) -> float:
        """How many of its `kind`: the amount, and a time in seconds."""
        return self.amount * _SECONDS.get(self.unit, 1.0)

    def steps(self, total: int | None, steps_per_epoch: int | None) -> int:
        """Return the number of updates, rounded to the nearest, a half upward.

        Args:
            total: updates of the whole run; needed by ``"%"``.
            steps_per_epoch: updates of one epoch; needed by ``"ep"``.

        Returns:
            amount, amount·steps_per_epoch, or amount·total/100.

        Raises:
            ValueError: when the number that the unit needs is None, and for samples and times, which have no such number.
        """
        if self.unit in _UNCOUNTED:
            raise ValueError(f"duration '{self}' is no number of updates; write '200st', '10ep' or '5%'")
        if self.unit == "st":
            return int(self.amount)
        if self.unit == "ep":
            if steps_per_epoch is None:
                raise ValueError(f"duration '{self}' needs steps_per_epoch, which is not known here; write '200st'")
            return math.floor(self.amount * steps_per_epoch + 0.5)
        if total is None:
            raise ValueError(f"duration '{self}' needs the length of the run, not known here; write '200st' or '10ep'")
        return math.floor(self.amount * total / 100 + 0.5)

    def __str__(self) -> str:
        whole = self.amount == int(self.amount)
        return f"{int(self.amount) if whole else repr(float(self.amount))}{self.unit}"
