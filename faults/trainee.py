"""What the campaign trains and maltreats: dropout, augmentation in workers, an average; and a naive control of the same."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import typer
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

from danlu.cli.errors import FAILED, RESUMABLE, USAGE, reported
from danlu.data import Loader
from danlu.loss import cross_entropy
from danlu.optim import create
from danlu.train import DamagedError, Keep, LockedError, MismatchError, Observer, Trainer

__all__ = ["Plan", "made", "naive", "train"]


@dataclass(frozen=True)
class Plan:
    """One run."""

    updates: int = 60
    every: int = 5  # updates from one checkpoint to the next
    width: int = 24
    big: int = 0  # rows of 1000 more parameters, to make checkpoints large
    workers: int = 0
    pause: float = 0.004  # seconds per update, so that there is a moment to hit
    term: tuple[int, ...] = ()  # updates after which to get a SIGTERM
    nan: int = -1  # the update whose loss is nan
    nonfinite: str = "raise"
    kill_worker: int = -1
    memory: int = -1  # the update that wants more memory than there is
    resume: bool = True

    def but(self, **changes):
        return replace(self, **changes)


class Noisy(Dataset):
    """Points in three clouds; each is moved a little whenever it is read."""

    def __len__(self):
        return 90

    def __getitem__(self, i):
        draw = torch.Generator().manual_seed(i)
        return torch.randn(8, generator=draw) + i % 3 + 0.3 * torch.randn(8), i % 3


class Net(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, plan.width), nn.BatchNorm1d(plan.width), nn.Tanh(), nn.Dropout(0.3))
        self.head = nn.Linear(plan.width, 3)
        self.big = nn.Parameter(torch.zeros(plan.big, 1000)) if plan.big else None

    def forward(self, x):
        y = self.head(self.body(x))
        return y if self.big is None else y + self.big.mean()


def made(plan):
    torch.manual_seed(1)
    model = Net(plan)
    return model, create("adamw", model, 0.01, average="ema")


class Watch(Observer):
    """Writes where the run began and that it is under way; makes the faults that come from inside."""

    def __init__(self, plan, notes):
        self.plan, self.notes = plan, notes

    def start(self, clock):
        with self.notes.open("a") as file:
            file.write(f"{clock.done}\n")

    def update(self, clock, report):
        if report.skipped:
            typer.echo(f"skipped: {report.reason}", err=True)
        time.sleep(self.plan.pause)
        if clock.done in self.plan.term:
            for _ in range(self.plan.term.count(clock.done)):
                os.kill(os.getpid(), signal.SIGTERM)
        if clock.done == self.plan.kill_worker:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)


def train(out: Path, plan: Plan, notes: Path) -> None:
    """One attempt, from wherever the folder is, with the exit codes of the command line."""
    model, optimizer = made(plan)

    def loss(model, batch):
        found = cross_entropy(model(batch[0]), batch[1])
        now = trainer.update.applied + trainer.update.skips if model.training else None
        if now == plan.memory:
            resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
            torch.empty(2**33)
        bad = now == plan.nan
        return replace(found, total=found.total * float("nan")) if bad else found

    with reported(LockedError, FileExistsError, OSError):
        trainer = Trainer(
            model,
            loss,
            optimizer,
            until=plan.updates,
            nonfinite=plan.nonfinite,
            evaluate_every=10,
            recalibrate=0 if plan.workers else 16,  # workers would start again for every checkpoint, and kills come before one
            log_every=1,
            out=out,
            save_every=plan.every,
            keep=Keep(last=2, best=True),
            resume=plan.resume,
            observers=[Watch(plan, notes)],
        )
    data = Loader(Noisy(), batch=12, workers=plan.workers)
    with (
        reported(DamagedError, MismatchError, code=USAGE),
        reported(ArithmeticError, OSError, MemoryError, RuntimeError, code=FAILED),
    ):
        result = trainer.fit(data, Loader(Noisy(), batch=90, shuffle=False))
    if result.signal:
        raise SystemExit(RESUMABLE)


def naive(out: Path, plan: Plan, notes: Path) -> None:
    """The control: one file, written in place with torch.save, read with weights_only=False, no randomness kept."""
    model, optimizer = made(plan)
    out.mkdir(exist_ok=True)
    path, done = out / "checkpoint.pt", 0
    if path.exists():
        saved = torch.load(path, weights_only=False)
        model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    with notes.open("a") as file:
        file.write(f"{done}\n")
    while done < plan.updates:
        for x, y in DataLoader(Noisy(), batch_size=12, shuffle=True):
            if done == plan.updates:
                break
            optimizer.zero_grad()
            value = nn.functional.cross_entropy(model(x), y) * (float("nan") if done == plan.nan else 1.0)
            value.backward()
            optimizer.step()
            done += 1
            time.sleep(plan.pause)
            if done % plan.every == 0:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}, path)
            if done in plan.term:
                os.kill(os.getpid(), signal.SIGTERM)
    save_file(model.state_dict(), out / "raw.safetensors")
    with optimizer.averaged():
        save_file(model.state_dict(), out / "model.safetensors")
