"""Two deep networks on real digits: with norms, without them, and with what makes up for them.

Run `python benchmarks/norm_free.py [--seeds 5] [--family resnet] [--csv FILE]`; docs/layers.md shows the table. Each row
of the CSV is a function of (family, arm, seed) on one machine. Arms of one seed share the images' order and augmentation.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path

from timing import machine

from danlu.layers import He, initialize
from danlu.recipe import load, prepare
from danlu.train import NonFiniteError, evaluate

RECIPE = Path(str(files("danlu.recipe") / "recipes" / "norm-free.toml"))
FAMILIES = {"mlp_deep": "25ep", "resnet": "15ep"}
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}  # 97.5 % points by n


@dataclass(frozen=True)
class Arm:
    """One way to train a family: its kind of model, whether by the recipe's clipping, and how the weights start."""

    name: str
    kind: str = ""
    clipped: bool = False
    he: bool = False


ARMS = (
    Arm("with norms"),
    Arm("norm-free recipe", "_norm_free", clipped=True),
    Arm("norms removed", "_bare"),
    Arm("norms removed, He's start", "_bare", he=True),
    Arm("norms removed, AGC", "_bare", clipped=True),
    Arm("recipe without AGC", "_norm_free"),
)


@dataclass(frozen=True)
class Row:
    """The held-out accuracy in per cent and loss in nats at the end of one run, or where it broke off."""

    family: str
    arm: str
    seed: int
    accuracy: float
    loss: float
    diverged: bool
    seconds: float


def measure(family: str, arm: Arm, seed: int, changes: Sequence[str] = ()) -> Row:
    """Train one network."""
    sets = [*changes, f"model={family}{arm.kind}", f"until={FAMILIES[family]}", *([] if arm.clipped else ["optimizer.grad=[]"])]
    run = prepare(load(RECIPE, sets, {"seed": seed}), observers=[])
    if arm.he:
        initialize(run.parts.model, He(), seed)
    diverged, seconds = False, math.nan
    try:
        seconds = run.fit().seconds
    except NonFiniteError:
        diverged = True
    end = evaluate(run.parts.model, run.parts.loss, run.parts.test.epoch(0))
    return Row(family, arm.name, seed, 100 * end["valid/accuracy"], end["valid/loss"], diverged, seconds)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """One line per arm: mean and lowest accuracy, and the paired difference to the network with norms, 95 % interval."""
    yield f"| network | trained | mean | lowest | minus with norms | diverged | n |\n|{' --- |' * 7}"
    for family in FAMILIES:
        normed = {row.seed: row.accuracy for row in rows if row.family == family and row.arm == ARMS[0].name}
        for arm in ARMS:
            found = [row for row in rows if (row.family, row.arm) == (family, arm.name)]
            if not found:
                continue
            gaps = [row.accuracy - normed[row.seed] for row in found if row.seed in normed]
            told = "" if arm is ARMS[0] or len(gaps) < 2 else f"{statistics.fmean(gaps):+.2f} ± {half_width(gaps):.2f}"
            accuracies = [row.accuracy for row in found]
            yield (
                f"| {family} | {arm.name} | {statistics.fmean(accuracies):.2f} % | {min(accuracies):.2f} % | {told} "
                f"| {sum(row.diverged for row in found)} | {len(found)} |"
            )


def half_width(gaps: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean, by Student's t."""
    return STUDENT.get(len(gaps), 2.23) * statistics.stdev(gaps) / math.sqrt(len(gaps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--family", choices=list(FAMILIES), action="append")
    parser.add_argument("--arm", choices=[arm.name for arm in ARMS], action="append")
    parser.add_argument("--set", action="append", default=[], help="change the recipe, such as optimizer.lr=0.02")
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    target = args.csv.open("w", buffering=1) if args.csv else sys.stderr
    out = csv.DictWriter(target, [f.name for f in fields(Row)])
    out.writeheader()
    rows = []
    for seed in range(args.seeds):
        for family in args.family or FAMILIES:
            for arm in ARMS:
                if not args.arm or arm.name in args.arm:
                    rows.append(measure(family, arm, seed, args.set))
                    out.writerow(asdict(rows[-1]))
    print(machine())
    print(*table(rows), sep="\n")


if __name__ == "__main__":
    main()
