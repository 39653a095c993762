"""A small regression, and the loop that anybody would write for it: what a framework's loop has to equal."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from danlu import optim

__all__ = ["EPOCHS", "PRESETS", "build", "loader", "mse", "plain_loop", "same", "weights"]

EPOCHS = 3
PRESETS = optim.presets()


def build() -> nn.Sequential:
    """The same model at every call, with a matrix, a convolution, vectors and a head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2))


def loader() -> DataLoader:
    """Sixteen samples in a fixed order, four to a batch."""
    source = torch.Generator().manual_seed(1)
    x = torch.randn(16, 6, generator=source)
    return DataLoader(TensorDataset(x, torch.stack([x.sum(1), x.prod(1)], 1)), batch_size=4)


def mse(model: nn.Module, batch: list[Tensor]) -> Tensor:
    """The mean squared error."""
    x, y = batch
    return functional.mse_loss(model(x), y)


def plain_loop(name: str) -> dict[str, Tensor]:
    """Train by hand."""
    model = build()
    optimizer = optim.create(name, model, 0.01, compile=False)
    for _ in range(EPOCHS):
        for batch in loader():

            def closure(batch: list[Tensor] = batch) -> Tensor:
                optimizer.zero_grad()
                loss = mse(model, batch)
                loss.backward()
                return loss

            optimizer.step(closure)
    return weights(model)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of what was trained."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    """Whether both are equal, bit for bit, and not where they started."""
    start = weights(build())
    moved = any(not torch.equal(start[name], ours[name]) for name in start)
    return moved and all(torch.equal(ours[name], theirs[name]) for name in start)
