"""Step time by how the state is stored, against float32 state of the same rule.

Run `python benchmarks/codecs.py [--set a] [--preset adamw] [--rounds 21]`; docs/benchmarks.md explains the columns.
"""

from __future__ import annotations

import argparse

import torch
from sets import CALLS, SETS, Gradients, copies
from streams import stream_adds, stream_kernel
from timing import Contestant, interleave, machine, prepare_process, ratio

from danlu import optim
from danlu.optim.explain import bytes_per_parameter
from danlu.optim.piece import Codec
from danlu.optim.store import BFloat16, Dense, Float8, Int8

STORES: dict[str, Codec] = {
    "float32": Dense(),
    "bfloat16, nearest": Dense(torch.bfloat16),
    "bfloat16, stochastic": BFloat16(),
    "int8, blocks of 256": Int8(min_size=4096),
    "float8, blocks of 256": Float8(min_size=4096),
}
PRESETS = ("adamw", "adan", "lion")


def main() -> None:
    args = parse()
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print("\n| preset | state | bytes of state | first s | ms | ratio to float32 | floor % |\n|---|---|--:|--:|--:|--:|--:|")
    for preset in args.preset or PRESETS:
        measure(preset, args.set, args.rounds)
    print("\nload after:", machine()["load"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", default="a", choices=SETS, help="the set of tensors")
    parser.add_argument("--preset", action="append", choices=optim.presets(), help="only this preset (repeatable)")
    parser.add_argument("--rounds", type=int, default=21, help="turns of each contestant, default 21")
    return parser.parse_args()


def measure(preset: str, name: str, rounds: int) -> None:
    """Let the stores and the streams take turns, and print a row for each store."""
    shapes = SETS[name][1]
    grads = Gradients(shapes)

    def enter(title: str, store: Codec) -> Contestant:
        params = copies(shapes)
        optimizer = optim.create(preset, params, lr=1e-3, store=store, compile=True)
        return Contestant(title, optimizer.step, lambda: grads.give(params))

    ways = [enter(title, store) for title, store in STORES.items()]
    n = sum(torch.Size(shape).numel() for shape in shapes)
    slots = len(optim.preset(preset)().slots)
    streams = stream_kernel(n, slots), stream_adds(n, slots)
    interleave([*ways, *(stream for stream, _ in streams)], rounds, CALLS[name])
    per_byte = min(stream.best / size for stream, size in streams)
    for way, store in zip(ways, STORES.values(), strict=True):
        kept = bytes_per_parameter(optim.preset(preset)().but(store=store))
        median, best = ratio(way, ways[0])
        share = 100 * n * (12 + 2 * kept) * per_byte / way.best
        print(
            f"| {preset} | {way.name} | {kept:.2f} | {way.first:.1f} | {1e3 * way.median:.1f} | {median:.2f} ({best:.2f}) "
            f"| {share:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
