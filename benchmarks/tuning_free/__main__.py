"""``python -m benchmarks.tuning_free``: make the runs that the file of results lacks; then the tables and the picture."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.tuning_free.methods import BY_NAME, METHODS, Method
from benchmarks.tuning_free.plan import evaluations, tunings
from benchmarks.tuning_free.rows import Rows
from benchmarks.tuning_free.run import Result, Task
from benchmarks.tuning_free.suite import CHOICE, HELD_OUT, OTHER_KINDS, WORKLOADS
from benchmarks.tuning_free.worker import settle, work

RESULTS = Path(__file__).parent / "results"
TOLD = 20.0  # seconds between two lines of progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", nargs="?", choices=["run", "report", "all"], default="all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of runs.csv, table.md and ratios.png")
    parser.add_argument("--split", choices=["choice", "held-out", "other-kinds", "all"], default="all")
    parser.add_argument("--workloads", nargs="*", choices=list(WORKLOADS), help="these only")
    parser.add_argument("--methods", nargs="*", choices=list(BY_NAME), help="these only")
    parser.add_argument("--again", nargs="*", choices=list(BY_NAME), default=[], help="forget these methods' runs first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes of one thread each")
    parser.add_argument("--eager", action="store_true", help="build no kernels, as where there is no compiler")
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    rows = Rows(args.results / "runs.csv")
    if args.again:
        rows.drop(args.again)
    if args.action != "report":
        methods = available([BY_NAME[name] for name in args.methods] if args.methods else METHODS)
        split = {"choice": CHOICE, "held-out": HELD_OUT, "other-kinds": OTHER_KINDS}.get(args.split, WORKLOADS.values())
        workloads = [workload for workload in split if not args.workloads or workload.name in args.workloads]
        make(tunings(methods, workloads), rows, args.jobs, compile=not args.eager)
        make(evaluations(methods, workloads, rows), rows, args.jobs, compile=not args.eager)
        rows.tidy()
    if args.action != "run":
        from benchmarks.tuning_free.report import report

        report(rows, args.results)


def available(methods: Sequence[Method]) -> list[Method]:
    """The methods whose preset this danlu has."""
    for name in sorted({method.preset for method in methods if not method.known}):
        print(f"no preset {name!r} in this danlu: its methods are left out")
    return [method for method in methods if method.known]


def make(tasks: Iterable[Task], rows: Rows, jobs: int, *, compile: bool) -> None:  # noqa: A002 - torch's word
    """Make the runs that are not there yet, in worker processes, and keep each result as it comes."""
    missing = [task for task in tasks if not rows.has(task)]
    if not missing:
        return
    began = told = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the workers' own torch
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(missing)), settle, (compile,)) as pool:
        for done, result in enumerate(pool.imap_unordered(work, missing, chunksize=2), start=1):
            rows.add(result)
            now = time.monotonic()
            if now - told > TOLD or done == len(missing):
                told, rest = now, (now - began) / done * (len(missing) - done)
                print(f"{done} of {len(missing)} runs, {now - began:.0f} s, {rest:.0f} s left; {_line(result)}", flush=True)


def _line(result: Result) -> str:
    task = result.task
    lr = "" if task.lr is None else f" at {task.lr:g}"
    return f"{task.workload}, {task.method}{lr}, seed {task.seed}: {result.metric:.4g}"


if __name__ == "__main__":
    main()
