"""Step time of every preset against torch, pytorch_optimizer, timm, optimi and HeavyBall, and the memory floor.

Run `python benchmarks/step.py [--set a] [--preset adamw] [--rounds 15] [--out FOLDER]`; docs/benchmarks.md says more.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from peers import LIBRARIES, importable, peers, steps
from sets import CALLS, ROUNDS, SETS, Gradients, copies
from streams import stream_adds, stream_kernel
from table import HEAD, Row, line, write
from timing import Contestant, interleave, machine, prepare_process, ratio
from torch import Tensor

from danlu import optim
from danlu.optim.explain import bytes_per_parameter

Shapes = list[tuple[int, ...]]

# With the momentum that nearly everybody has; by default there is none, and another memory traffic.
OPTIONS: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.9}, "sgdw": {"momentum": 0.9}}
# Where torch's class is the same rule, so that one step lands in the same place.
SAME = {"adagrad", "adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "sgd"}


def main() -> None:
    args = parse()
    prepare_process()
    facts = machine()
    print("  ".join(f"{key}: {value}" for key, value in facts.items()))
    modules = importable(args.library or tuple(LIBRARIES))
    rows = []
    for name in args.set or SETS:
        print(f"\nset {name}: {title(name)}\n{HEAD}")
        for preset in args.preset or chosen():
            rows.append(measure(name, preset, args.rounds, modules))
            print(line(rows[-1]), flush=True)
            if args.out:
                write(args.out, facts, rows, {each: title(each) for each in SETS})
    print("\nload after:", machine()["load"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", choices=SETS, help="only this set of tensors (repeatable)")
    parser.add_argument("--preset", action="append", choices=optim.presets(), help="only this preset (repeatable)")
    parser.add_argument("--library", action="append", choices=LIBRARIES, help="only against this library (repeatable)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant, default {ROUNDS}")
    parser.add_argument("--out", type=Path, help="folder for step.md, step.json and step.png")
    return parser.parse_args()


def title(name: str) -> str:
    """A set in words."""
    words, shapes = SETS[name]
    return f"{words}, {sum(torch.Size(shape).numel() for shape in shapes):,} parameters in {len(shapes)} tensors"


def chosen() -> list[str]:
    """The presets whose step reads no loss and calls no closure."""
    return [name for name in optim.presets() if optim.preset(name)().needs == {"grad"}]


def measure(name: str, preset: str, rounds: int, modules: dict[str, Any]) -> Row:
    """Let danlu, every way of the installed peers and the streams take turns."""
    shapes, options = SETS[name][1], OPTIONS.get(preset, {})
    rule = optim.preset(preset)(**options)
    moved = 12 + 2 * bytes_per_parameter(rule)  # float32: read p, g and the state, write p and the state
    lr, grads = optim.preset(preset).lr, Gradients(shapes)
    mine = copies(shapes)
    ours = contestant("danlu", optim.create(preset, mine, lr, compile=kernels(rule), **options), mine, grads)
    others = []
    for way, cls, keywords in peers(preset, modules):
        params = copies(shapes)
        try:
            others.append(contestant(way, steps(cls, params, lr, keywords), params, grads))
        except Exception as error:  # theirs to mend; the others go on
            print(f"{preset}: {way} fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            continue
        gap = max((x.detach() - y.detach()).abs().max().item() for x, y in zip(mine, params, strict=True))
        if way.startswith("torch") and preset in SAME and gap > 1e-6:
            raise RuntimeError(f"{preset}: one step of {way} lands {gap:g} away: not the same rule")
    n = sum(p.numel() for p in mine)
    streams = stream_kernel(n, len(rule.slots)), stream_adds(n, len(rule.slots))
    interleave([ours, *others, *(stream for stream, _ in streams)], rounds, CALLS[name])
    floor = moved * n * min(stream.best / size for stream, size in streams)
    label = " ".join([preset, *(f"{key}={value}" for key, value in options.items())])
    against = {other.name: ratio(other, ours) for other in others}
    return Row(name, label, moved, ours.first, 1e3 * ours.median, 1e3 * ours.best, 1e3 * floor, against)


def kernels(rule: optim.Rule) -> Any:
    """True where there are kernels for the rule, so that nothing else is timed by mistake; rules of matrices have none."""
    return True if rule.scope != "matrix" else "auto"


def contestant(name: str, optimizer: Any, params: list[Tensor], grads: Gradients) -> Contestant:
    """An optimizer that steps these parameters."""
    return Contestant(name, optimizer.step, lambda: grads.give(params))


if __name__ == "__main__":
    main()
