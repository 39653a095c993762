"""Step time of every preset against torch.optim's class of the same rule, other libraries, and the memory floor.

Run `python benchmarks/step.py [--set a] [--preset adamw] [--rounds 15] [--json FILE]`; docs/benchmarks.md explains the columns.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from sets import CALLS, ROUNDS, SETS, Gradients, copies
from timing import Contestant, go_first, interleave, machine, ratio
from torch import Tensor

from danlu import optim
from danlu.optim.explain import bytes_per_parameter
from danlu.optim.run.kernel import PARALLEL_FROM, kernel

Shapes = list[tuple[int, ...]]
Options = dict[str, Any]

# Presets that have another memory traffic with momentum than by default.
VARIANTS: dict[str, Options] = {"sgd": {"momentum": 0.9}, "sgdw": {"momentum": 0.9}}

# The class of the same rule elsewhere: of torch by preset, of libraries that may be installed by module.
TORCH = {
    **{name.lower(): name for name in ("Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")},
    "sgd_velocity": "SGD",  # the same steps while lr is constant
}
PEERS: dict[str, dict[str, tuple[str, Options]]] = {
    "pytorch_optimizer": {"lion": ("Lion", {}), "sgdw": ("SGDW", {"weight_decay": 1e-2})},
    "timm.optim": {
        "lion": ("Lion", {}),
        "nadam_simple": ("NAdamW", {"weight_decay": 0.0}),
        "sgdw": ("SGDW", {"weight_decay": 1e-2}),
    },
    "optimi": {
        "lion": ("Lion", {}),
        "sgd_ema": ("SGD", {"momentum": 0.9, "dampening": True}),
        "sgdw": ("SGD", {"weight_decay": 1e-2, "decouple_wd": True}),
    },
}


@dataclass(frozen=True)
class Row:
    """What was measured for one preset on one set; ratios are (median of the rounds, best against best)."""

    set: str
    preset: str
    bytes: float
    first_s: float
    ms: float
    best_ms: float
    floor_ms: float
    against: dict[str, tuple[float, float]]


def main() -> None:
    args = parse()
    go_first()
    facts = machine()
    print("  ".join(f"{key}: {value}" for key, value in facts.items()))
    peers = dict(importable())
    rows = []
    for name in args.set or SETS:
        title, shapes = SETS[name]
        total = sum(torch.Size(shape).numel() for shape in shapes)
        print(f"\nset {name}: {title}, {total:,} parameters in {len(shapes)} tensors")
        print(HEAD)
        for preset in args.preset or chosen(args.every):
            for options in ({}, VARIANTS[preset]) if preset in VARIANTS else ({},):
                rows.append(measure(name, shapes, preset, options, args.rounds, peers))
                print(line(rows[-1]), flush=True)
    print("\nload after:", machine()["load"])
    if args.json:
        args.json.write_text(json.dumps({"machine": facts, "rows": [asdict(row) for row in rows]}, indent=1), encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", choices=SETS, help="only this set of tensors (repeatable)")
    parser.add_argument("--preset", action="append", choices=optim.presets(), help="only this preset (repeatable)")
    parser.add_argument("--every", action="store_true", help="also presets that reduce over tensors (slow to compile)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant, default {ROUNDS}")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def chosen(every: bool) -> list[str]:
    """The presets that run as one kernel; with `every`, all whose step reads no loss and calls no closure."""
    rules = {name: optim.preset(name)() for name in optim.presets()}
    mere = {name: rule for name, rule in rules.items() if rule.needs == {"grad"}}
    return [name for name, rule in mere.items() if every or (rule.scope == "element" and not rule.measures)]


def importable() -> Iterator[tuple[str, Any]]:
    """The peer libraries that are installed; the others get a line."""
    for name in PEERS:
        try:
            yield name, importlib.import_module(name)
        except ImportError as error:
            print(f"without {name}: {error}")


def measure(name: str, shapes: Shapes, preset: str, options: Options, rounds: int, peers: dict[str, Any]) -> Row:
    """Let danlu, torch's ways, the installed peers and the streams take turns."""
    rule = optim.preset(preset)(**options)
    moved = 12 + 2 * bytes_per_parameter(rule)  # float32: read p, g and the state, write p and the state
    lr, grads = optim.preset(preset).lr, Gradients(shapes)

    def enter(title: str, cls: Any, **kwargs: Any) -> tuple[Contestant, list[Tensor]]:
        params = copies(shapes)
        optimizer = cls(params, lr=lr, **kwargs)
        return Contestant(title, optimizer.step, lambda: grads.give(params)), params

    ours, moved_by_us = enter("danlu", lambda p, **kw: optim.create(preset, p, **kw), compile=True, **options)
    others = []
    for title, kwargs in ways(preset):
        other, moved_by_them = enter(title, getattr(torch.optim, TORCH[preset]), **kwargs, **torch_options(preset, options))
        gap = max((x.detach() - y.detach()).abs().max().item() for x, y in zip(moved_by_us, moved_by_them, strict=True))
        if gap > 1e-6:
            raise RuntimeError(f"{preset}: one step of torch's {title} lands {gap:g} away: not the same rule")
        others.append(other)
    for module, library in peers.items():
        if preset in PEERS[module]:
            cls, kwargs = PEERS[module][preset]
            others.append(enter(module.split(".")[0], getattr(library, cls), **kwargs, **options)[0])
    n = sum(p.numel() for p in moved_by_us)
    streams = stream_kernel(n, len(rule.slots)), stream_adds(n, len(rule.slots))
    interleave([ours, *others, *(stream for stream, _ in streams)], rounds, CALLS[name])
    floor = moved * n * min(stream.best / size for stream, size in streams)
    label = " ".join([preset, *(f"{key}={value}" for key, value in options.items())])
    against = {other.name: ratio(other, ours) for other in others}
    return Row(name, label, moved, ours.first, 1e3 * ours.median, 1e3 * ours.best, 1e3 * floor, against)


def ways(preset: str) -> Iterator[tuple[str, Options]]:
    """How torch can run the rule."""
    if preset in TORCH:
        yield "loop", {"foreach": False}
        yield "foreach", {"foreach": True}
        if "fused" in inspect.signature(getattr(torch.optim, TORCH[preset])).parameters:
            yield "fused", {"fused": True}


def torch_options(preset: str, options: Options) -> Options:
    """The preset's arguments under which torch's class is the same rule."""
    return {"momentum": 0.9} if preset == "sgd_velocity" else options


def stream_kernel(n: int, slots: int) -> tuple[Contestant, int]:
    """The engine's kernel of an access pattern on one flat arena, p −= lr·m and each m += w·(g − m), and its bytes."""
    rule = optim.Rule(optim.direction.Plain(), {f"m{i}": optim.moment.Ema(0.9, debias=False) for i in range(slots)})
    p, g, *planes = (torch.ones(n) for _ in range(2 + slots))
    run, h = kernel(rule, p, planes, parallel=n >= PARALLEL_FROM), torch.zeros(len(rule.layout))
    return Contestant("stream", lambda: run(g, h)), 4 * n * (3 + 2 * slots)


def stream_adds(n: int, slots: int) -> tuple[Contestant, int]:
    """The same arena by torch's own in-place additions, p += g and each m += g, and its bytes."""
    g, *planes = (torch.zeros(n) for _ in range(2 + slots))
    return Contestant("adds", lambda: [plane.add_(g) for plane in planes]), 12 * n * (1 + slots)


HEAD = f"{'preset':<18} {'B':>3} {'first s':>7} {'danlu ms':>9} {'floor ms':>9} {'floor %':>7} " + " ".join(
    f"{'vs ' + way:>14}" for way in ("loop", "foreach", "fused")
)


def line(row: Row) -> str:
    known = [row.against.get(way) for way in ("loop", "foreach", "fused")]
    cells = [f"{'-' if r is None else f'{r[0]:.2f} ({r[1]:.2f})':>14}" for r in known]
    cells += [
        f"vs {name} {r[0]:.2f} ({r[1]:.2f})" for name, r in row.against.items() if name not in {"loop", "foreach", "fused"}
    ]
    head = f"{row.preset:<18} {row.bytes:3.0f} {row.first_s:7.2f} {row.ms:9.3f} {row.floor_ms:9.3f}"
    return " ".join([head, f"{100 * row.floor_ms / row.best_ms:7.0f}", *cells])


if __name__ == "__main__":
    main()
