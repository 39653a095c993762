"""What a rule refuses: pieces that cannot act together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from danlu.optim.piece import Stateful
from danlu.optim.values import Signal
from danlu.registry import did_you_mean

if TYPE_CHECKING:
    from danlu.optim.rule import Rule

__all__ = ["refuse_climbing", "refuse_misfits"]


def refuse_climbing(rule: Rule) -> None:
    """Refuse a rule that only goes downhill where it is to climb.

    Raises:
        ValueError: as `Rule.climbing` says.
    """
    if (piece := next((piece for piece in rule.nested if piece.descends), None)) is not None:
        raise ValueError(
            f"maximize: {piece.axis}.{type(piece).__name__} reads the loss as what is to become small; minimize the negative, "
            "and give that as the loss"
        )


def refuse_misfits(rule: Rule) -> None:
    """Refuse a rule whose pieces cannot act together.

    Raises:
        ValueError: as `Rule` says.
    """
    wanting = next((piece for piece in rule.nested if piece.wants_scale), None)
    if wanting is not None and all(m.signal is Signal.GRADIENT for m in rule.moments.values()):
        raise ValueError(
            f"{wanting.axis}.{type(wanting).__name__} needs a moment of g² or |g|; this rule has "
            f"{', '.join(rule.moments) or 'no moments'}: add moments={{'exp_avg_sq': moment.Ema(0.999, of=square)}}"
        )
    slots = rule.slots  # raises when two pieces claim one key
    keys = [key for piece in rule.pieces.values() for key in (*piece.memory(), *piece.shared())]
    for key in keys:
        if keys.count(key) > 1:  # the pieces would overwrite each other's
            raise ValueError(f"two pieces of one rule keep a host number under {key!r}: leave one of them out")
    for i, late in enumerate(rule.after_lr):
        if late.scales_lr:
            raise ValueError(f"after_lr.{i}: {type(late).__name__} scales lr, which has acted by then; put it in modify")
    for path, piece in rule.pieces.items():
        for name in piece.reads if isinstance(piece, Stateful) else ():
            if name not in rule.magnitudes:
                hint = did_you_mean(name, rule.magnitudes)
                raise ValueError(
                    f"{path}: {type(piece).__name__} reads a magnitude {name!r}, which the rule does not keep{hint}"
                )
    for name, codec in rule.store.items() if isinstance(rule.store, Mapping) else ():
        if name not in slots:
            raise ValueError(f"store: no slot {name!r}{did_you_mean(name, slots)}")
        if not codec.signed and name not in rule.magnitudes:
            raise ValueError(
                f"store: store.{type(codec).__name__} keeps no signs, and {name!r} has them; give it to a moment of g² "
                "or |g|, and keep this one dense"
            )
