"""Forward, backward and step of a small transformer: does an optimizer slow the rest of the loop down?

Run `python benchmarks/loop.py [--rounds 15]`. Gradients that live in buffers of an optimizer's own would show here: backward
then adds into them instead of handing its own over. danlu leaves them alone, so all columns but the step should agree.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from sets import ROUNDS
from timing import WARM_UP, machine, prepare_process
from torch import Tensor, nn

from danlu import optim

BATCH, LENGTH, WIDTH, LAYERS, WORDS = 2, 32, 384, 12, 10_000
PARTS = ("zero", "forward", "backward", "step")


class Loop:
    """One model with its optimizer, and the seconds of every part by round."""

    def __init__(self, make: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(WIDTH, 6, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        body = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.model = nn.Sequential(nn.Embedding(WORDS, WIDTH), body, nn.Linear(WIDTH, WORDS))
        self.optimizer = make(self.model)
        self.seconds: dict[str, list[float]] = {part: [] for part in PARTS}

    def update(self, words: Tensor) -> None:
        """One update, each part on its own clock."""
        marks = [perf_counter()]
        self.optimizer.zero_grad()
        marks.append(perf_counter())
        loss = nn.functional.cross_entropy(self.model(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
        marks.append(perf_counter())
        loss.backward()
        marks.append(perf_counter())
        self.optimizer.step()
        marks.append(perf_counter())
        for part, start, end in zip(PARTS, marks, marks[1:], strict=False):
            self.seconds[part].append(end - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"updates of each loop, default {ROUNDS}")
    rounds = parser.parse_args().rounds
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    fused: Any = {"fused": True}
    loops = {
        "danlu": Loop(lambda model: optim.AdamW(model.parameters(), compile=True)),
        "torch fused": Loop(lambda model: torch.optim.AdamW(model.parameters(), **fused)),
    }
    words = torch.randint(WORDS, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    for i in range(WARM_UP + rounds):
        for loop in list(loops.values())[:: 1 if i % 2 else -1]:
            loop.update(words)
    print(f"\n{'median ms':<12}" + "".join(f"{part:>10}" for part in (*PARTS, "all")))
    for name, loop in loops.items():
        parts = [1e3 * statistics.median(loop.seconds[part][WARM_UP:]) for part in PARTS]
        print(f"{name:<12}" + "".join(f"{ms:10.2f}" for ms in (*parts, sum(parts))))
    ours, theirs = (loop.seconds for loop in loops.values())
    ratios = [
        statistics.median(a / b for a, b in zip(ours[part][WARM_UP:], theirs[part][WARM_UP:], strict=True)) for part in PARTS
    ]
    print(f"{'ratio':<12}" + "".join(f"{r:10.2f}" for r in ratios))


if __name__ == "__main__":
    main()
