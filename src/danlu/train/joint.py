"""The state of a trainer as one nested dictionary, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from danlu.train.callback import Stateful
from danlu.train.loop import Loop

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["packed", "refuse_other", "unpack"]


def packed(trainer: Trainer, loop: Loop) -> dict[str, Any]:
    """Return what `Trainer.state_dict` does: of callbacks, update, a torch scheduler and the loop."""
    state = {kind: {name: part.state_dict() for name, part in parts.items()} for kind, parts in _stateful(trainer).items()}
    return {**_settings(trainer), **state, **loop.state_dict()}


def unpack(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Give every part its own state; the loop's is taken when it starts.

    Raises:
        ValueError: when the state is of a run with other settings or parts; nothing is changed then.
    """
    refuse_other(trainer, state)
    for kind, parts in _stateful(trainer).items():
        for name, part in parts.items():
            part.load_state_dict(state[kind][name])


def refuse_other(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Refuse what `unpack` cannot take, before anything is changed.

    Raises:
        ValueError: when the state is of a run with other settings or parts.
    """
    for name, value in _settings(trainer).items():
        if state[name] != value:
            raise ValueError(f"Trainer: the state is of a run with {name}={state[name]}, not {value}; give the same {name}")
    for kind, parts in _stateful(trainer).items():
        if parts.keys() != state[kind].keys():
            theirs, ours = (", ".join(sorted(names)) or "none" for names in (state[kind], parts))
            raise ValueError(f"Trainer: the state has the {kind} {theirs}; this trainer has {ours}; give the same ones")


def _settings(trainer: Trainer) -> dict[str, int]:
    """What randomness and windows depend on."""
    return {"seed": trainer.seed, "accumulate": trainer.accumulate}


def _stateful(trainer: Trainer) -> dict[str, dict[str, Stateful]]:
    parts = {"update": trainer.update, "schedule": trainer.schedule}
    return {
        "callbacks": {each.name: each for each in trainer.callbacks if each.in_state},
        "parts": {name: part for name, part in parts.items() if isinstance(part, Stateful)},
    }
