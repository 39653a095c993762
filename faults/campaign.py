"""The faults, one function each: it maltreats runs and returns a `Verdict`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from safetensors.torch import load_file

from faults.bench import Bench, Verdict, bits, complete, notes, small_disk, started, tree
from faults.hostile import hostile_files, reseal
from faults.process import attempt, begun, finish, kill
from faults.several import restarted
from faults.trainee import Plan

__all__ = ["CONTROL", "ROWS"]


def same_twice(bench: Bench) -> Verdict:
    """Row 1."""
    verdict = Verdict("1 the same run twice")
    for workers in (0, 2):
        first, second = (bench.folder() for _ in range(2))
        for out in (first, second):
            verdict.expect(bench.run(out, Plan(workers=workers)).code == 0, "a run failed")
        verdict.expect(bits(first) == bits(second), f"{workers} workers: other bits")
    verdict.expect(bench.reference(Plan()) == bench.reference(Plan(workers=2)), "0 and 2 workers differ")
    verdict.counts["pairs"] = 2
    return verdict


def killed(bench: Bench, plan: Plan, wanted: int, row: str, patience: float) -> Verdict:
    """Kill at uniform random moments after the first update begins, restart, until enough kills have landed."""
    verdict = Verdict(row)
    reference = bench.reference(plan)
    landed = resumed = completed = differ = inside = 0
    out = bench.folder()
    first = True
    while landed < wanted or (resumed * 4 < landed and landed < 3 * wanted):  # on a busy machine they may all come too early
        child = begun(bench.work(out, plan), out.with_suffix(".log"))
        before = len(started(out))
        while len(started(out)) == before and os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
        at = bench.random.uniform(0, patience)
        deadline = time.monotonic() + at
        while time.monotonic() < deadline and os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
        alive = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        ended = kill(child) if alive else finish(child)
        began = started(out)[-1:] or [0]
        resumed += not first and began[0] > 0
        first = False
        if alive:
            landed += 1
            inside += any((out / "checkpoints").glob(".*.tmp"))
            continue
        verdict.expect(ended.code == 0, f"an attempt ended with {ended.code}: {ended.errors[-200:]}")
        if ended.code:
            shutil.rmtree(out, ignore_errors=True)
        else:
            completed += 1
            differ += bits(out) != reference
            verdict.expect(not any((out / "checkpoints").glob(".*.tmp")), "a left-over .tmp stayed")
        out, first = bench.folder(), True
    ended = bench.run(out, plan)  # the last one to its end
    verdict.expect(ended.code == 0, f"an attempt ended with {ended.code}: {ended.errors[-200:]}")
    if not ended.code:
        completed += 1
        resumed += started(out)[-1] > 0
        differ += bits(out) != reference
    verdict.expect(not differ, f"{differ} of {completed} completed runs have other bits")
    verdict.expect(resumed * 4 >= landed, "too few kills led to a resume to mean anything")
    verdict.counts |= {
        "kills": landed,
        "inside a write": inside,
        "resumes": resumed,
        "runs completed": completed,
        "differ": differ,
    }
    return verdict


def kills(bench: Bench) -> Verdict:
    """Row 2; half of the plans read with two workers."""
    plain = killed(bench, Plan(), bench.kills - bench.kills // 2, "2 kill -9 at random moments, 0 workers", 0.6)
    working = killed(bench, Plan(workers=2), bench.kills // 2, "2 workers", 0.9)
    wrong = plain.wrong + working.wrong
    counts = {key: (plain.counts[key], working.counts[key]) for key in plain.counts}
    return Verdict("2 kill -9 at random moments (0 workers, 2 workers)", counts, wrong)


def kills_in_writes(bench: Bench) -> Verdict:
    """Row 3."""
    plan = Plan(big=3000, every=1, updates=6, pause=0.0)
    return killed(bench, plan, bench.kills_in_writes, "3 kill -9, a checkpoint of 58 MB after every update", 2.0)


def terminated(bench: Bench) -> Verdict:
    """Row 4, and a second SIGTERM."""
    verdict = Verdict("4 SIGTERM at update 7")
    for workers in (0, 2):
        plan, out = Plan(workers=workers), bench.folder()
        ended = bench.run(out, plan.but(term=(7,)))
        verdict.expect(ended.code == 75 and ended.seconds < 10, f"exit {ended.code} after {ended.seconds:.1f} s")
        verdict.expect((out / "checkpoints" / "step-000000007" / "manifest.json").exists(), "no checkpoint of update 7")
        verdict.expect(bench.run(out, plan).code == 0 and started(out) == [0, 7], f"attempts began at {started(out)}")
        verdict.expect(out.exists() and complete(out) and bits(out) == bench.reference(plan), "other bits")
    out = bench.folder()
    twice = bench.run(out, Plan(term=(7, 7)))
    verdict.expect(twice.code == 143 and twice.seconds < 10, f"twice: exit {twice.code}")
    verdict.expect(bench.run(out, Plan()).code == 0 and bits(out) == bench.reference(Plan()), "twice: other bits")
    verdict.counts["runs"] = 3
    return verdict


def _half(bench: Bench, plan: Plan) -> Path:
    """A run that was ended at update 13, with checkpoints of 10 and 13."""
    out = bench.folder()
    ended = bench.run(out, plan.but(term=(13,)))
    if ended.code != 75:
        raise RuntimeError(f"the first half failed: {ended.errors}")
    return out


def damages(newest: Path, draw: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """24 ways to damage a checkpoint."""
    files = sorted(newest.iterdir())
    for _ in range(10):
        path = draw.choice(files)
        size = draw.randrange(path.stat().st_size)
        yield f"{path.name} cut to {size}", partial(os.truncate, path, size)
    for _ in range(10):
        path = draw.choice(files)
        at = draw.randrange(path.stat().st_size)
        yield f"{path.name} byte {at} flipped", partial(_flip, path, at, 1 << draw.randrange(8))
    path = newest / "model.safetensors"
    size = path.stat().st_size
    for name, content in {
        "zeros": bytes(size),
        "text": b"not a tensor\n" * 20,
        "zip": b"PK\x03\x04" + bytes(200),
        "random": draw.randbytes(size),
    }.items():
        yield f"{path.name} replaced by {name}", partial(path.write_bytes, content)


def _flip(path: Path, at: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.write_bytes(content)


def damaged(bench: Bench) -> Verdict:
    """Row 5."""
    verdict, plan = Verdict("5 the newest checkpoint damaged"), Plan(updates=20)
    half = _half(bench, plan)
    reference, told, same = bench.reference(plan), 0, 0
    names = [name for name, _ in damages(half / "checkpoints" / "step-000000013", random.Random(bench.seed))]
    chosen = list(range(len(names))) if bench.ways >= 24 else bench.random.sample(range(len(names)), bench.ways)
    for k in chosen:
        out = bench.folder()
        shutil.copytree(half, out)
        list(damages(out / "checkpoints" / "step-000000013", random.Random(bench.seed)))[k][1]()
        ended = bench.run(out, plan)
        told += "step-000000013 is damaged" in ended.errors and started(out) == [10]
        same += ended.code == 0 and bits(out) == reference
        shutil.rmtree(out)
    verdict.counts |= {"ways": len(chosen), "noticed": told, "same bits": same}
    verdict.expect(told == len(chosen), "damage went unnoticed")
    verdict.expect(same == len(chosen), "other bits")
    return verdict


def unusable(bench: Bench) -> Verdict:
    """Row 6: nothing to go on from, or something else."""
    verdict, plan = Verdict("6 all junk; of another model, optimizer"), Plan(updates=20)
    half = _half(bench, plan)
    for path in (half / "checkpoints").glob("step-*/*.safetensors"):
        path.write_bytes(b"junk")
    before, ended = tree(half), bench.run(half, plan)
    verdict.expect(ended.code == 2 and ended.one_line, f"all junk: exit {ended.code}, {ended.lines}")
    verdict.expect(tree(half) == before, "all junk: something was overwritten")
    half = _half(bench, plan)
    before, ended = tree(half), bench.run(half, plan.but(width=25))
    verdict.expect(ended.code == 2 and ended.one_line and "has shape (24," in ended.errors, f"other model: {ended.lines}")
    verdict.expect(tree(half) == before, "other model: something was overwritten")
    ended = bench.run(half, plan.but(big=1))
    verdict.expect(ended.code == 2 and ended.one_line and "lacks big" in ended.errors, f"other names: {ended.lines}")
    verdict.expect(tree(half) == before, "other names: something was overwritten")
    verdict.counts["cases"] = 3
    return verdict


def hostile(bench: Bench) -> Verdict:
    """Row 7."""
    verdict, plan = Verdict("7 hostile files"), Plan(updates=20)
    half, marker = _half(bench, plan), bench.root / "executed"
    cases = fell = 0
    for content in hostile_files(marker):
        for name in ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"):
            for sealed in (False, True):
                out = bench.folder()
                shutil.copytree(half, out)
                newest = out / "checkpoints" / "step-000000013"
                (newest / name).write_bytes(content)
                if sealed and name != "manifest.json":
                    reseal(newest)
                ended = bench.run(out, plan)
                cases += 1
                fell += ended.code == 0 and "is damaged" in ended.errors and started(out) == [10]
                verdict.expect("Traceback" not in ended.errors, f"{name}: traceback")
                shutil.rmtree(out)
    verdict.counts |= {"files": cases, "fell back": fell, "executed": int(marker.exists())}
    verdict.expect(not marker.exists(), "code was executed")
    verdict.expect(fell == cases, "some were taken")
    return verdict


def full_disk(bench: Bench) -> Verdict:
    """Row 8: a disk of 3 MB on which the third checkpoint does not fit."""
    verdict, plan = Verdict("8 disk full at the third checkpoint"), Plan(updates=20, big=60)
    reference, disk = bench.reference(plan), bench.root / "disk"
    with small_disk(disk, "3m"):
        out, log = disk / "run", bench.root / "disk.log"
        ended = attempt(partial(bench.trainee, out, plan, notes(bench.root / "disk-run")), log)
        verdict.expect(
            ended.code == 1 and ended.one_line and "No space left" in ended.errors, f"exit {ended.code}: {ended.lines}"
        )
        whole = sorted(p.name for p in (out / "checkpoints").glob("step-*"))
        verdict.expect(whole == ["step-000000005", "step-000000010"], f"on the disk: {whole}")
        verdict.expect(not any((out / "checkpoints").glob(".*.tmp")), "half a checkpoint stayed")
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        ended = attempt(partial(bench.trainee, out, plan, notes(bench.root / "disk-run")), log)
        verdict.expect(ended.code == 0 and bits(out) == reference, f"then: exit {ended.code}, {ended.lines}")
        verdict.expect(started(bench.root / "disk-run") == [0, 10], f"began at {started(bench.root / 'disk-run')}")
    verdict.counts["checkpoints before"] = 2
    return verdict


def nonfinite(bench: Bench) -> Verdict:
    """Row 9: raise and skip."""
    verdict, plan = Verdict("9 NaN loss at update 20"), Plan(updates=30)
    out = bench.folder()
    ended = bench.run(out, plan.but(nan=20))
    verdict.expect(ended.code == 1 and ended.one_line and "update 20" in ended.errors, f"exit {ended.code}: {ended.lines}")
    verdict.expect(bench.run(out, plan).code == 0 and bits(out) == bench.reference(plan), "without the cause: other bits")
    out = bench.folder()
    ended = bench.run(out, plan.but(nan=20, nonfinite="skip"))
    finite = ended.code == 0 and all(x.isfinite().all() for x in load_file(out / "raw.safetensors").values())
    verdict.expect(finite, "skip: not finite")
    verdict.expect("skipped: update 20" in ended.errors, "skip: not said")
    verdict.counts["policies"] = 2
    return verdict


def configurations(bench: Bench) -> Verdict:
    """Row 10, with the recipes of the tests."""
    from typer.testing import CliRunner

    from danlu.cli import app
    from tests.cli.test_mutations import MUTATED

    verdict, good = Verdict("10 mutated recipes"), 0
    for number, (name, text, named) in enumerate(MUTATED):
        recipe, out = bench.root / "recipe.toml", bench.root / f"never-{number}"
        recipe.write_text(text)
        result = CliRunner().invoke(app, ["train", "--recipe", str(recipe), "--out", str(out)])
        lines = result.stderr.splitlines()
        right = result.exit_code == 2 and len(lines) == 1 and lines[0].startswith("error: ") and not out.exists()
        right = right and (named.replace("my.toml", "recipe.toml") in lines[0] or "task is missing" in lines[0])
        verdict.expect(right, f"{name}: exit {result.exit_code}, {lines}")
        good += right
    verdict.counts |= {"recipes": len(MUTATED), "one line, nothing written": good}
    return verdict


def surroundings(bench: Bench) -> Verdict:
    """The "Also" list: a killed worker, no memory, two runs in one folder, a folder that cannot be written."""
    verdict, plan = Verdict("also: worker killed, two runs, read-only, memory, clock"), Plan(updates=20, workers=2)
    told = 0
    for _ in range(8):
        out = bench.folder()
        ended = bench.run(out, plan.but(kill_worker=12))
        told += ended.code == 1 and ended.one_line and "worker" in ended.errors
        verdict.expect(ended.code not in {0, 75}, f"worker: exit {ended.code}")
        verdict.expect(bench.run(out, plan).code == 0 and bits(out) == bench.reference(plan), "worker: other bits")
    verdict.counts["workers killed"] = 8
    verdict.counts["told in one line (torch's own handler may add a traceback)"] = told
    verdict.expect(told >= 2, "worker: hardly ever told in one line")

    out, plan = bench.folder(), Plan(updates=40, pause=0.03)
    child = begun(bench.work(out, plan), out.with_suffix(".log"))
    while not started(out):
        time.sleep(0.005)
    second = attempt(bench.work(out, plan), out.with_suffix(".log2"))
    verdict.expect(second.code == 2 and second.one_line and "in use by process" in second.errors, f"two runs: {second.lines}")
    verdict.expect(finish(child).code == 0 and bits(out) == bench.reference(plan), "two runs: the first was disturbed")

    disk, plan = bench.root / "read-only", Plan(updates=20)
    with small_disk(disk, "3m"):
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ended = attempt(partial(bench.trainee, disk / "run", plan, notes(bench.root / "ro")), bench.root / "ro.log")
        verdict.expect(ended.code == 2 and ended.one_line and "Read-only" in ended.errors, f"read-only: {ended.lines}")

    out = bench.folder()
    ended = bench.run(out, plan.but(memory=12))
    verdict.expect(ended.code == 1 and ended.one_line and "memory" in ended.errors, f"memory: exit {ended.code}, {ended.lines}")
    verdict.expect(bench.run(out, plan).code == 0 and started(out) == [0, 10], f"memory: began at {started(out)}")
    verdict.expect(bits(out) == bench.reference(plan), "memory: other bits")

    out = bench.folder()
    ended = attempt(partial(_backwards, bench.work(out, plan)), out.with_suffix(".log"))
    verdict.expect(ended.code == 0 and bits(out) == bench.reference(plan), "clock moved back: other bits")
    verdict.counts["other cases"] = 4
    return verdict


def _backwards(work: Callable[[], object]) -> None:
    """Let the wall clock run backwards."""
    now = time.time()
    time.time = lambda: now - 1000 * time.monotonic()
    work()


ROWS = (
    same_twice,
    kills,
    kills_in_writes,
    terminated,
    damaged,
    unusable,
    hostile,
    full_disk,
    nonfinite,
    configurations,
    restarted,
    surroundings,
)
"""All of it, in the order of docs/reliability.md."""

CONTROL = (kills, terminated, nonfinite)
"""What the naive control is put through, beside hostile files; it must fail each."""
