"""Step time of equal shapes in stacks against one by one: where does stacking pay?

Run `python benchmarks/stacks.py [--preset muon] [--rounds 15]`. Both are danlu on the same numbers; only the limits differ.
"""

from __future__ import annotations

import argparse
import math

from sets import ROUNDS
from timing import interleave, machine, prepare_process, ratio
from together import NEVER, contestant

from danlu.optim.run import batch

PRESETS = ("muon", "furnace", "soap", "shampoo", "smmf", "adafactor", "lamb", "adamw_8bit")
SHAPES = ((256,), (16, 16), (64, 64), (32, 32, 3, 3), (128, 128), (256, 256), (256, 512))
ELEMENTS = 1 << 21  # of all tensors of one shape, of which there are at most 48
ALWAYS = batch.Limits(1 << 30, 4 << 20, joint_elements=1 << 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", action="append", choices=PRESETS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    args = parser.parse_args()
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print("\nms one by one; one by one over stacked, median (best): stacked whatever the size, as the engine decides\n")
    counts = [min(48, ELEMENTS // math.prod(shape)) for shape in SHAPES]
    heads = (f"{count} of {'x'.join(map(str, shape))}" for count, shape in zip(counts, SHAPES, strict=True))
    print(f"| preset | {' | '.join(heads)} |\n|---{'|--:' * len(SHAPES)}|")
    for preset in args.preset or PRESETS:
        cells = []
        for count, shape in zip(counts, SHAPES, strict=True):
            alone, always, usual = (
                contestant(name, preset, [shape] * count, limits)
                for name, limits in (("alone", NEVER), ("always", ALWAYS), ("usual", None))
            )
            interleave([alone, always, usual], args.rounds, 1)
            gains = [f"{median:.2f} ({best:.2f})" for median, best in (ratio(alone, always), ratio(alone, usual))]
            cells.append(f"{1e3 * alone.median:.1f}; {', '.join(gains)}")
        print(f"| {preset} | " + " | ".join(cells) + " |", flush=True)
    print("\nload after:", machine()["load"])


if __name__ == "__main__":
    main()
