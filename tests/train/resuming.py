"""A run into a folder that can be stopped by a signal and resumed, for tests."""

import json
import signal

import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Dataset

from danlu.data import Loader, TensorLoader
from danlu.optim import create
from danlu.schedule import Cosine, Schedule
from danlu.train import Observer, Trainer

from .toys import loss, network, tokens

UPDATES = 11


class Noisy(Dataset):
    """Samples that are moved whenever they are read."""

    def __init__(self):
        self.x, self.y = tokens(18, seed=3)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] + 0.1 * torch.randn(3, 3, dtype=torch.float64), self.y[i]


class Signal(Observer):
    """Sends this process a signal after update k."""

    def __init__(self, at, number=signal.SIGTERM, times=1):
        self.at, self.number, self.times = at, number, times

    def update(self, clock, report):
        if clock.done == self.at:
            for _ in range(self.times):
                signal.raise_signal(self.number)


def trainer(out, *observers, criterion=loss, optimizer=None, extra=(), seed=0, **options):
    model = network(0, nn.Dropout(0.3), nn.BatchNorm1d(3), *extra)
    optimizer = create("adamw", model, 0.03, average="ema") if optimizer is None else optimizer(model)
    plain = {"until": UPDATES, "evaluate_every": 3, "log_every": 1, "save_every": 2, "schedule": Schedule(Cosine(), warmup=2)}
    return Trainer(model, criterion, optimizer, out=out, observers=observers, seed=seed, **{**plain, **options})


def fit(out, *observers, data=None, **options):
    train = Loader(Noisy(), batch=4) if data is None else data
    return trainer(out, *observers, **options).fit(train, TensorLoader(*tokens(9, seed=5), batch=4, shuffle=False))


def files(out):
    """All that a run leaves, but the seconds and the notes about its starts and ends."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: x for k, x in row.items() if k != "seconds"} for row in lines if row["event"] in {"update", "evaluated"}]
    return rows, load_file(out / "model.safetensors"), load_file(out / "raw.safetensors")
