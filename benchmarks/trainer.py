"""What does the trainer cost over a loop written by hand?

Run `python benchmarks/trainer.py [--rounds 60] [--calls 100]`. Everybody makes the same updates of the same model on the same
batches, by turns in one process: the bare loop (with the loss brought to the host, as anybody's log has it); the same loop with
what the trainer does as well, by torch's own means: the gradient's norm and a learning rate schedule; `Update` alone; the
trainer without observers; the same with a folder and checkpoints, and with an inspection, of which none falls due in the timed
updates, so that these two show what they cost in between. Only ratios within a round count.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import torch
from timing import Contestant, interleave, machine, prepare_process, ratio
from torch import Tensor, nn

from danlu.schedule import Cosine, Schedule
from danlu.train import Inspect, Trainer, Update

BATCHES = 50
ENDLESS = 10**7


def wide() -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """About 1 ms for an update on one core."""
    return nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)), _data(256)


def convolutional() -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """The digits: 8 × 8 pixels."""
    body = (nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())
    return nn.Sequential(*body, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10)), _data(64)


def _data(width: int) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [(torch.randn(128, width, generator=draw), torch.randint(10, (128,), generator=draw)) for _ in range(BATCHES)]


def predict(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Any:
    """The loss as a sum and a count, with no measures: the plain loop has none."""
    x, y = batch
    return nn.functional.cross_entropy(model(x), y, reduction="sum"), len(y)


def contestants(problem: Callable[[], tuple[nn.Module, list[tuple[Tensor, Tensor]]]], held: ExitStack) -> list[Contestant]:
    """Everybody with a model and an optimizer of its own; what they hold open is closed by `held`."""

    def parts() -> tuple[nn.Module, list[tuple[Tensor, Tensor]], torch.optim.Optimizer]:
        torch.manual_seed(0)
        model, data = problem()
        return model, data, torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def plain(whole: bool) -> Callable[[], None]:
        model, data, optimizer = parts()
        batches, total = _forever(data), [0.0]
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, ENDLESS)

        def step() -> None:
            x, y = next(batches)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            if whole:
                nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
            optimizer.step()
            if whole:
                schedule.step()
            total[0] += loss.item()

        return step

    def update() -> Callable[[], None]:
        model, data, optimizer = parts()
        make, batches = Update(model, predict, optimizer), _forever(data)
        return lambda: make([next(batches)]) and None

    def trainer(**more: Any) -> Callable[[], None]:
        model, data, optimizer = parts()
        lengths = {"until": ENDLESS, "evaluate_every": ENDLESS}
        run = Trainer(model, predict, optimizer, schedule=Schedule(Cosine()), observers=[], **lengths, **more)
        steps = held.enter_context(closing(run.steps(data)))
        return lambda: next(steps).update() and None

    made = {"bare": plain(whole=False), "by hand": plain(whole=True), "Update": update(), "Trainer": trainer()}
    made["+ folder"] = trainer(out=f"{held.enter_context(tempfile.TemporaryDirectory())}/run", save_every=ENDLESS)
    made["+ inspection"] = trainer(callbacks=[Inspect(every=ENDLESS)])
    return [Contestant(name, step) for name, step in made.items()]


def _forever(data: list[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from data


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="turns of everybody, default 60")
    parser.add_argument("--calls", type=int, default=100, help="updates per turn, default 100")
    arguments = parser.parse_args()
    prepare_process()
    torch.set_num_threads(1)
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    for problem in (wide, convolutional):
        with ExitStack() as held:
            everybody = contestants(problem, held)
            interleave(everybody, arguments.rounds, arguments.calls)
        print(f"\n{problem.__name__:<16}{'ms':>8}{'to bare':>10}{'to by hand':>12}   (median of the rounds' ratios)")
        for each in everybody:
            ratios = [ratio(each, other)[0] for other in everybody[:2]]
            print(f"{each.name:<16}{1e3 * each.median:8.3f}{ratios[0]:10.3f}{ratios[1]:12.3f}")
    print(f"\nload at the end: {machine()['load']}")


if __name__ == "__main__":
    main()
