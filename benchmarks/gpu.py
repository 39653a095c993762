"""Step time on a GPU: share of the copy bandwidth, against torch, optimi's Triton kernels, HeavyBall and 8-bit peers.

Run `python benchmarks/gpu.py [--set a] [--preset adamw] [--rounds 30] [--out FOLDER]` where a GPU is; `--device cpu` is for
trying the script out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from peers import importable, peers, steps
from sets import SETS, Gradients, copies
from torch import Tensor

from danlu import optim
from danlu.optim.explain import bytes_per_parameter

PRESETS = (
    "adamw",
    "sgd",
    "lion",
    "adan",
    "nadam",
    "radam",
    "adabelief",
    "lamb",
    "stable_adamw",
    "adafactor",
    "adamw_8bit",
    "muon",
)
EIGHT_BITS = {"torchao.optim": "AdamW8bit", "bitsandbytes.optim": "AdamW8bit"}
WARM_UP, BURST = 5, 20  # steps; a burst is timed as a whole, so that launches overlap with work as they do in training


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script out")
    parser.add_argument("--set", action="append", choices=SETS, help="only this set of tensors (repeatable)")
    parser.add_argument("--preset", action="append", choices=optim.presets(), help="only this preset (repeatable)")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, help="a folder for gpu.json and gpu.md")
    args = parser.parse_args()
    device = torch.device(args.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"torch {torch.__version__}, {name}, copy {bandwidth(device) / 1e9:.0f} GB/s")
    modules = importable()
    rows = [row for key in args.set or SETS for row in table(key, args.preset or PRESETS, device, args.rounds, modules)]
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "gpu.json").write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": rows}, indent=1))
        (args.out / "gpu.md").write_text("\n".join(lines(rows)) + "\n")


def table(key: str, presets: Any, device: torch.device, rounds: int, modules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row per preset: ours in its ways of running, and everybody else's, interleaved."""
    shapes = SETS[key][1]
    total = sum(torch.Size(shape).numel() for shape in shapes)
    speed = bandwidth(device)
    print(f"\nset {key}: {SETS[key][0]}, {total:,} parameters in {len(shapes)} tensors")
    for preset in presets:
        rule = optim.preset(preset)()
        runs: dict[str, Callable[[], None]] = {}
        for title, make in contestants(preset, modules):
            try:
                runs[title] = burst(make, shapes, device)
            except Exception as error:  # a peer that cannot run here is no reason to stop
                print(f"  {preset}: without {title}: {type(error).__name__}: {str(error).splitlines()[0]}")
        seconds = interleaved(runs, device, rounds)
        moved = total * (12 + 2 * bytes_per_parameter(rule))
        ours = min(
            (title for title in seconds if title.startswith("danlu")), key=lambda title: statistics.median(seconds[title])
        )
        row = {
            "set": key,
            "preset": preset,
            "way": ours,
            "ms": 1e3 * statistics.median(seconds[ours]),
            "share": moved / speed / statistics.median(seconds[ours]),
            "against": {
                title: statistics.median(t / o for t, o in zip(times, seconds[ours], strict=True))
                for title, times in seconds.items()
                if title != ours
            },
        }
        print(lines([row])[-1], flush=True)
        yield row


def contestants(preset: str, modules: dict[str, Any]) -> Iterator[tuple[str, Callable[[list[Tensor]], Any]]]:
    """Title and maker of each optimizer of a preset's rule."""
    lr = optim.preset(preset).lr
    yield "danlu", lambda params: optim.create(preset, params, compile=True)
    yield "danlu eager", lambda params: optim.create(preset, params, compile=False)
    yield "danlu graphed", lambda params: Replayed(optim.create(preset, params, compile=True))
    for title, cls, keywords in peers(preset, modules):
        yield title, lambda params, cls=cls, keywords=keywords: steps(cls, params, lr, keywords)
    if preset == "adamw_8bit":
        for library, cls in EIGHT_BITS.items():
            yield (
                library.split(".")[0],
                lambda params, library=library, cls=cls: getattr(importlib.import_module(library), cls)(params, lr=lr),
            )


class Replayed:
    """An optimizer whose steps are replayed from a CUDA graph."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.step = optim.graphed(optimizer.step, optimizer)


def burst(make: Callable[[list[Tensor]], Any], shapes: Any, device: torch.device) -> Callable[[], None]:
    """A warmed-up run of steps; gradients are hung on again before each, which costs no device time."""
    params = [p.detach().to(device).requires_grad_() for p in copies(shapes)]
    grads = [g.to(device) for g in Gradients(shapes).clean]
    optimizer = make(params)

    def run(count: int = BURST) -> None:
        for _ in range(count):
            for p, g in zip(params, grads, strict=True):
                p.grad = g
            optimizer.step()

    run(WARM_UP)
    return run


def interleaved(runs: dict[str, Callable[[], None]], device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each contestant, one entry per round; the order rotates."""
    seconds: dict[str, list[float]] = {title: [] for title in runs}
    titles = list(runs)
    for i in range(rounds):
        for title in [*titles[i % len(titles) :], *titles[: i % len(titles)]]:
            seconds[title].append(timed(runs[title], device) / BURST)
    return seconds


def timed(run: Callable[[], None], device: torch.device) -> float:
    """Seconds of a call, by the device's own clock where it has one."""
    if device.type != "cuda":
        start = perf_counter()
        run()
        return perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def bandwidth(device: torch.device) -> float:
    """Bytes per second of copying 256 MiB, read and written."""
    a = torch.ones(1 << 26, device=device)
    b = torch.empty_like(a)
    best = min(timed(lambda: b.copy_(a), device) for _ in range(10))
    return 8 * a.numel() / best


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as a Markdown table."""
    head = ["| set | preset | danlu ms | share of copy | others: times danlu's |", "|---|---|--:|--:|---|"]
    for row in rows:
        others = ", ".join(f"{title} {value:.2f}" for title, value in row["against"].items())
        head.append(f"| {row['set']} | {row['preset']} | {row['ms']:.3f} | {row['share']:.0%} | {others} |")
    return head


if __name__ == "__main__":
    main()
