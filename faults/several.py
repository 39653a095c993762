"""Two ranks under torchrun, of which one is killed; as a module, one of those ranks."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from danlu.data import Loader
from danlu.loss import cross_entropy
from danlu.train import Callback, Clock, Keep, Report, Trainer, on
from faults.bench import Bench, Verdict, bits, complete, notes, started
from faults.process import attempt
from faults.trainee import Noisy, Plan, Watch, made

__all__ = ["restarted"]

UPDATES = 40


LIMIT = 240.0  # seconds, for a run and its restarts


def restarted(bench: Bench) -> Verdict:
    """Row 11."""
    verdict = Verdict("11 two ranks under torchrun, kill -9 of rank 1 at update 12 and of rank 0 at 26")
    whole, hit = bench.folder(), bench.folder()
    for out, kills in ((whole, ""), (hit, "1@12,0@26")):
        ended = attempt(partial(_torchrun, out, kills), out.with_suffix(".log"), LIMIT)
        verdict.expect(ended.code == 0, f"exit {ended.code} after {ended.seconds:.0f} s: {ended.errors[-300:]}")
    verdict.expect(started(hit) == [0, 10, 25], f"attempts began at {started(hit)}")
    same = complete(whole) and complete(hit) and bits(whole) == bits(hit)
    verdict.expect(same, "other bits")
    verdict.counts |= {"kills": 2, "restarts": len(started(hit)) - 1, "same bits": same}
    return verdict


def _torchrun(out: Path, kills: str) -> None:
    ranks = ["--standalone", "--nproc-per-node=2", "--max-restarts=3", "--monitor-interval=0.1"]
    module = [arg for arg in ("faults.several", str(out), kills) if arg]
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *ranks, "-m", *module])


def killer(out: Path, rank: int, kills: str) -> Callback:
    """Kill ranks after updates, each once: ``1@12,0@26`` is rank 1 at update 12, rank 0 at 26."""

    def update(clock: Clock, report: Report) -> None:
        this, mark = f"{rank}@{clock.done}", out.with_suffix(f".killed-{clock.done}")
        if this in kills.split(",") and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return on("update", update)


def main(out: Path, kills: str = "") -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    model, optimizer = made(Plan())
    trainer = Trainer(
        DistributedDataParallel(model),
        lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        optimizer,
        until=UPDATES,
        evaluate_every=10,
        log_every=1,
        out=out,
        save_every=5,
        keep=Keep(last=2, best=True),
        resume=True,
        callbacks=[killer(out, rank, kills)],
        observers=[Watch(Plan(), notes(out))],  # of the first rank
    )
    data, held_out = (Loader(Noisy(), batch=n, shuffle=n < 90, rank=rank, world=world) for n in (12, 90))
    trainer.fit(data, held_out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
