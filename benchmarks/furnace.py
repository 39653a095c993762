"""What do the presets without tuning cost, per step and until they are where tuned AdamW ends?

Run `python benchmarks/furnace.py [--rounds 20] [--calls 10] [--race]`, on the transformer of the task chars and the network of
convolutions of the task digits. First the steps, by turns in one process. With --race (minutes) AdamW's learning rate is tuned
for a budget with cosine and warm-up, then AdamW and the presets train by turns from the same weights on the same batches, and
each is timed until its held-out loss is AdamW's final one; looks at it are off the clock.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
from timing import Contestant, interleave, machine, prepare_process, ratio
from torch import Tensor, nn

from danlu import optim
from danlu.data.image import Jitter
from danlu.optim.engine import Optimizer
from danlu.schedule import Constant, Cosine, Schedule, Scheduled
from danlu.task import chars, digits
from danlu.task.models.char_transformer import CharTransformer
from danlu.task.models.cnn import CNN
from danlu.task.task import Data

RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
SEEDS = (0, 1, 2)
LOOKS = 40


@dataclass(frozen=True)
class Problem:
    """Data, a model and a budget of updates."""

    load: Callable[[int], Data]
    model: Callable[[Data], nn.Module]
    updates: int


PROBLEMS = {
    "char transformer": Problem(lambda seed: chars.load(batch=32, seed=seed), lambda data: CharTransformer(**data.sizes), 300),
    "cnn": Problem(lambda seed: digits.load(batch=64, seed=seed, augment=Jitter(0.05)), lambda _: CNN(), 600),
}


def batches(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    for epoch in itertools.count():
        yield from data.train.epoch(epoch)


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


@torch.no_grad()
def held_out(model: nn.Module, data: Data, optimizer: Optimizer) -> float:
    with optimizer.averaged():
        model.eval()
        losses = [(loss_of(model, batch).item(), batch[1].numel()) for batch in data.test.epoch(0)]
        model.train()
    return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)


def steps(problem: Problem, rounds: int, calls: int) -> None:
    """A table of what a step costs, and what forward and backward cost beside it."""
    torch.manual_seed(0)
    data = problem.load(0)
    model = problem.model(data)
    batch = next(batches(data))
    loss_of(model, batch).backward()
    ours: Mapping[str, Callable[[], torch.optim.Optimizer]] = {
        "AdamW": lambda: optim.AdamW(model, compile=False),
        "AdamW, compiled": lambda: optim.AdamW(model, compile=True),
        "torch AdamW": lambda: torch.optim.AdamW(model.parameters()),
        "torch AdamW, fused": lambda: torch.optim.AdamW(model.parameters(), fused=True),
        "Furnace": lambda: optim.Furnace(model, compile=False),
        "FurnaceLean": lambda: optim.FurnaceLean(model, compile=False),
        "Furnace, compiled": lambda: optim.Furnace(model, compile=True),
        "FurnaceLean, compiled": lambda: optim.FurnaceLean(model, compile=True),
        "SOAP": lambda: optim.SOAP(model),
    }
    everybody = [Contestant(name, make().step) for name, make in ours.items()]
    everybody.append(Contestant("forward and backward", lambda: loss_of(model, batch).backward()))
    interleave(everybody, rounds, calls)
    print("\n| | ms | of AdamW, eager | of torch's | of forward and backward |\n|---|--:|--:|--:|--:|")
    for one in everybody:
        shares = [f"{ratio(one, other)[0]:.2f}" for other in (everybody[0], everybody[2], everybody[-1])]
        print(f"| {one.name} | {1e3 * one.median:.2f} | {' | '.join(shares)} |")


def train(problem: Problem, seed: int, make: Callable[[nn.Module], Optimizer], schedule: Schedule) -> list[tuple[float, float]]:
    """Seconds of training and the held-out loss then, at equal distances."""
    torch.manual_seed(seed)
    data = problem.load(seed)
    model = problem.model(data)
    optimizer, drawn = make(model), batches(data)
    paced, found, seconds = Scheduled(optimizer, schedule, problem.updates), [], 0.0
    for update in range(problem.updates):
        batch = next(drawn)
        began = perf_counter()
        paced.set(update)
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        seconds += perf_counter() - began
        if (update + 1) % (problem.updates // LOOKS) == 0:
            found.append((seconds, held_out(model, data, optimizer)))
    return found


def race(name: str, problem: Problem) -> None:
    """A table of who reaches tuned AdamW's final loss when."""
    annealed, constant = Schedule(Cosine(), warmup="5%"), Schedule(Constant())

    def adamw(lr: float) -> Callable[[nn.Module], Optimizer]:
        return lambda model: optim.AdamW(model, lr=lr)

    ends = {}
    for lr in RATES:
        ends[lr] = train(problem, 10, adamw(lr), annealed)[-1][1]
        print(f"{name}: AdamW at {lr:g} ends at {ends[lr]:.4f}", flush=True)
    best = min(ends, key=lambda lr: ends[lr])
    runners = {
        f"AdamW at {best:g}": (adamw(best), annealed),
        "Furnace": (optim.Furnace, constant),
        "FurnaceLean": (optim.FurnaceLean, constant),
    }
    final: dict[str, list[float]] = {key: [] for key in runners}
    shares: dict[str, list[float]] = {key: [] for key in runners}
    for seed in SEEDS:
        curves = {key: train(problem, seed, *runner) for key, runner in runners.items()}
        whole, target = next(iter(curves.values()))[-1]
        for key, curve in curves.items():
            final[key].append(curve[-1][1])
            shares[key].append(next((at / whole for at, loss in curve if loss <= target), float("inf")))
    print("\n| | final loss | time to AdamW's, of AdamW's time |\n|---|--:|--:|")
    for key in runners:
        print(f"| {key} | {statistics.fmean(final[key]):.4f} | {statistics.median(shares[key]):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--race", action="store_true", help="also train until tuned AdamW's final loss (minutes)")
    args = parser.parse_args()
    prepare_process()
    print(machine())
    for name, problem in PROBLEMS.items():
        print(f"\n{name}")
        steps(problem, args.rounds, args.calls)
        if args.race:
            race(name, problem)


if __name__ == "__main__":
    main()
