"""What an evaluation reads and moves besides weights and data: random states, and buffers such as BatchNorm's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from torch import nn

from danlu.keyed import default_generators
from danlu.train.walk import modules

__all__ = ["Surroundings"]


@final
class Surroundings:
    """A copy of the random states and of the model's buffers.

    With it an evaluation can be repeated as the same function of the weights (same dropout masks, same statistics
    to start from), and one that led to no update can be made not to have happened.

    Args:
        model: whose buffers are copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.random = [(each, each.get_state()) for each in default_generators()]
        self.buffers = [
            (module, name, buffer.clone())
            for module in modules(model)
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]

    def restore(self) -> None:
        """Put everything back as it was copied."""
        for each, state in self.random:
            each.set_state(state)
        for module, name, saved in self.buffers:  # by name: a forward pass may have put in a new tensor
            now = module._buffers.get(name)
            if now is None or now.shape != saved.shape or now.dtype != saved.dtype:  # such as a cache that grows
                module._buffers[name] = saved.clone()
            else:  # past autograd: a graph that waits for its backward pass may hold a buffer, and gets it as it was
                now.data.copy_(saved)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Run the block from here, and afterwards put back what it has moved."""
        now = Surroundings(self.model)
        self.restore()
        try:
            yield
        finally:
            now.restore()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Run the block, and afterwards put everything back as it was copied."""
        try:
            yield
        finally:
            self.restore()
