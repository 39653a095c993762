"""AdamW with global clipping and an average of the weights as one pass, and what denormal numbers cost.

Run `python benchmarks/whole.py [--set a] [--rounds 15]`. The first table compares one danlu step with torch's fused AdamW,
`clip_grad_norm_` and a foreach average after it; the second a step whose second moments are 1e-40 with a normal one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from sets import CALLS, ROUNDS, SETS, Gradients, copies
from timing import Contestant, interleave, machine, prepare_process, ratio
from torch import Tensor

from danlu import optim

DECAY, BOUND = 0.999, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", choices=SETS, help="only this set of tensors (repeatable)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant, default {ROUNDS}")
    args = parser.parse_args()
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    for name in args.set or SETS:
        shapes, calls = SETS[name][1], CALLS[name]
        ours, theirs = clipped_and_averaged(shapes)
        interleave([ours, theirs], args.rounds, calls)
        show(name, "clip + step + EMA, danlu", ours, theirs)
        quiet, normal = quiet_and_normal(shapes)
        interleave([quiet, normal], args.rounds, calls)
        show(name, quiet.name, quiet, normal)
    print("load after:", machine()["load"])


def show(name: str, title: str, ours: Contestant, theirs: Contestant) -> None:
    middle, best = ratio(ours, theirs)
    times = f"{1e3 * ours.median:.3f} of {1e3 * theirs.median:.3f} ms"
    print(f"set {name}: {title:<26} {times:>22} of {theirs.name:<28} ratio {middle:.2f} ({best:.2f})", flush=True)


def clipped_and_averaged(shapes: list[tuple[int, ...]]) -> tuple[Contestant, Contestant]:
    """danlu's one kernel, and torch's three calls; torch clips its gradients in place, which are put back off the clock."""
    grads, params = Gradients(shapes), copies(shapes)
    rule = optim.adamw().but(grad=optim.grad.ClipNorm(BOUND), average=optim.average.Ema(DECAY))
    ours = optim.Optimizer(params, rule, compile=True)
    others = copies(shapes)
    fused: Any = {"fused": True}
    theirs, averages = torch.optim.AdamW(others, **fused), [p.detach().clone() for p in others]

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(others, BOUND)
        theirs.step()
        torch._foreach_lerp_(averages, [p.detach() for p in others], 1 - DECAY)

    return Contestant("danlu", ours.step, giving(grads, params)), Contestant("torch", step, giving(grads, others))


def quiet_and_normal(shapes: list[tuple[int, ...]]) -> tuple[Contestant, Contestant]:
    """AdamW where every square of a gradient is 1e-40, or 1, on the same memory; a step off the clock settles the state."""
    params = copies(shapes)
    optimizer = optim.AdamW(params, compile=True)
    for p in params:
        p.grad = torch.ones_like(p)

    def at(size: float) -> None:
        for p in params:
            if p.grad is not None:
                p.grad.fill_(size)
            if state := optimizer.state[p]:
                state["exp_avg"].fill_(size)
                state["exp_avg_sq"].fill_(size * size)
        optimizer.step()

    names = {"second moments of 1e-40": 1e-20, "a normal step": 1.0}
    quiet, normal = (Contestant(name, optimizer.step, lambda size=size: at(size)) for name, size in names.items())
    return quiet, normal


def giving(grads: Gradients, params: list[Tensor]) -> Callable[[], None]:
    return lambda: grads.give(params)


if __name__ == "__main__":
    main()
