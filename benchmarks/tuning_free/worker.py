"""What a worker process runs; in a module of its own, because a spawned process cannot find what ``__main__`` defines."""

from __future__ import annotations

import torch

from benchmarks.tuning_free.run import Result, Task, train

__all__ = ["settle", "work"]

_settings = {"compile": True}


def settle(compile: bool) -> None:  # noqa: A002 - torch's word
    """Prepare a process: one thread."""
    torch.set_num_threads(1)
    _settings["compile"] = compile


def work(task: Task) -> Result:
    """Make a run."""
    return train(task, **_settings)
