"""``python -m faults``: the whole campaign, and the control that must fail it."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch

from faults.bench import Bench
from faults.campaign import CONTROL, ROWS
from faults.hostile import hostile_files
from faults.process import attempt
from faults.trainee import Plan, naive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--writes", type=int, default=25, help="kills with a big checkpoint after every update")
    parser.add_argument("--ways", type=int, default=24, help="to damage the newest checkpoint")
    parser.add_argument("--control", type=int, default=8, help="kills of the naive trainer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default="/dev/shm" if Path("/dev/shm").is_dir() else None, help="where to work")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp(prefix="faults-", dir=chosen.folder))
    failed = 0
    try:
        bench = Bench(root, kills=chosen.kills, kills_in_writes=chosen.writes, ways=chosen.ways, seed=chosen.seed)
        for row in ROWS:
            if not chosen.only or row.__name__ in chosen.only:
                began = time.monotonic()
                verdict = row(bench)
                failed += not verdict.passed
                print(f"{verdict.line()}  [{time.monotonic() - began:.0f} s]", flush=True)
        if not chosen.only or "control" in chosen.only:
            failed += not control(root, chosen.control)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return int(failed > 0)


def control(root: Path, kills: int) -> bool:
    """Whether the naive trainer fails what it is put through; else the campaign proves nothing."""
    root = root / "naive"
    root.mkdir()
    bench = Bench(root, naive, kills=kills)
    passed = [row.__name__ for row in CONTROL if row(bench).passed]
    executed = 0
    for number, content in enumerate(hostile_files(root / "control")):
        out = bench.folder()
        out.mkdir()
        (out / "checkpoint.pt").write_bytes(content)
        attempt(bench.work(out, Plan(updates=2)), root / f"control-{number}.log")
        executed += (root / "control").exists()
        (root / "control").unlink(missing_ok=True)
    good = not passed and executed
    but = f"; but passes {', '.join(passed)}" if passed else ""
    print(f"{'pass' if good else 'FAIL'}  control: naive fails kills, SIGTERM, NaN; executes {executed} of 4 files{but}")
    return bool(good)


if __name__ == "__main__":
    raise SystemExit(main())
