"""Step time of random compositions of element scope over the floor of their own bytes.

Run `python benchmarks/compositions.py [--set c] [--count 8] [--seed 0] [--rounds 15]`. The rules are drawn from all registered
pieces, as the tests draw theirs; those that read a loss, call a closure or sum over all tensors are drawn again.
"""

from __future__ import annotations

import argparse
import sys
from itertools import count, islice
from pathlib import Path

import torch
from sets import CALLS, ROUNDS, SETS, Gradients, copies
from streams import stream_adds, stream_kernel
from timing import Contestant, interleave, machine, prepare_process

from danlu import optim
from danlu.optim.explain import bytes_per_parameter
from danlu.optim.rule import Rule
from danlu.optim.store import Dense

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.laws.grid import seeded


def main() -> None:
    args = parse()
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print("\n| bytes | ms | over the floor | first s | rule |\n|--:|--:|--:|--:|---|")
    plain = (rule for i in count() for rule in seeded(1, True, 1000 * args.seed + i) if not rule.measures)
    for rule in islice((rule for rule in plain if rule.needs == {"grad"}), args.count):
        measure(rule, args.set, args.rounds)
    print("\nload after:", machine()["load"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", default="c", choices=SETS, help="the set of tensors")
    parser.add_argument("--count", type=int, default=8, help="how many rules, default 8")
    parser.add_argument("--seed", type=int, default=0, help="other rules for another seed")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant, default {ROUNDS}")
    return parser.parse_args()


def measure(rule: Rule, name: str, rounds: int) -> None:
    """Let a rule and the streams take turns, and print its row."""
    shapes = SETS[name][1]
    grads, params = Gradients(shapes), copies(shapes)
    optimizer = optim.Optimizer(params, rule, lr=1e-3, compile=True)
    ours = Contestant("danlu", optimizer.step, lambda: grads.give(params))
    n = sum(torch.Size(shape).numel() for shape in shapes)
    streams = stream_kernel(n, len(rule.slots)), stream_adds(n, len(rule.slots))
    interleave([ours, *(stream for stream, _ in streams)], rounds, CALLS[name])
    moved = 12 + 2 * bytes_per_parameter(rule)
    floor = n * moved * min(stream.best / size for stream, size in streams)
    plain = Dense()
    pieces = "; ".join(f"{path} {piece.brief()}" for path, piece in rule.pieces.items() if piece != plain)
    print(f"| {moved:.3g} | {1e3 * ours.median:.1f} | {ours.best / floor:.2f} | {ours.first:.1f} | {pieces} |", flush=True)


if __name__ == "__main__":
    main()
