"""Step of small models without kernels of ours: small tensors end to end against one by one, and against torch.

Run `python benchmarks/lines.py [--preset adamw] [--rounds 15]`.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from sets import ROUNDS, SETS, Gradients, copies
from timing import Contestant, interleave, machine, prepare_process, ratio
from together import NEVER, contestant

from danlu import optim
from danlu.optim.fused import fused_of
from danlu.task.models.char_transformer import CharTransformer
from danlu.task.models.cnn import CNN

PRESETS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "nadam": torch.optim.NAdam, "adan": None, "lion": None}
MODELS = {
    "tiny model": SETS["d"][1],
    "CNN": [tuple(p.shape) for p in CNN().parameters()],
    "CharTransformer": [tuple(p.shape) for p in CharTransformer(symbols=96).parameters()],
}


def peer(kind: type[torch.optim.Optimizer], shapes: list[tuple[int, ...]], **how: bool) -> Contestant:
    """torch's optimizer in its loop, over lists, or fused."""
    params, gradients = copies(shapes), Gradients(shapes)
    made: torch.optim.Optimizer = kind(params, lr=1e-3, **how)  # type: ignore[call-arg] - each of PRESETS takes both
    return Contestant(kind.__name__, partial(made.step), lambda: gradients.give(params))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", action="append", choices=[*PRESETS])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    args = parser.parse_args()
    prepare_process()
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print("\nms of the law end to end; others over it, median (best): one by one, torch's loop, torch's foreach;")
    print('where torch has a fused kernel also by that in danlu (`compile="auto"`), and in torch\n')
    print(f"| preset | {' | '.join(MODELS)} |\n|---{'|--:' * len(MODELS)}|")
    for preset in args.preset or PRESETS:
        cells = []
        for shapes in MODELS.values():
            usual, alone = contestant("usual", preset, shapes, None), contestant("alone", preset, shapes, NEVER)
            kind = PRESETS[preset]
            others = [alone, *([] if kind is None else [peer(kind, shapes, foreach=foreach) for foreach in (False, True)])]
            if kind is not None and fused_of(optim.preset(preset)()) is not None:
                others += [contestant("served", preset, shapes, None, served=True), peer(kind, shapes, fused=True)]
            interleave([usual, *others], args.rounds, 20)
            gains = [f"{median:.2f} ({best:.2f})" for median, best in (ratio(other, usual) for other in others)]
            cells.append(f"{1e3 * usual.median:.2f}; {', '.join(gains)}")
        print(f"| {preset} | " + " | ".join(cells) + " |", flush=True)
    print("\nload after:", machine()["load"])


if __name__ == "__main__":
    main()
