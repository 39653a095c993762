"""Two new processes that train together, over gloo."""

import multiprocessing as mp
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist

RANKS = 2
PATIENCE = 300  # seconds: for a machine that is busy with something else, not for the work


def _ranked(rank, work, store, told):
    """One rank; it tells the parent what was wrong.

    A forked child ends by ``os._exit``, without tearing the interpreter down. Where ranks were spawned and torn down, one in
    ten launches on a busy machine ended with SIGABRT there ("terminate called without an active exception"), a thread
    of torch's still being under way.
    """
    torch.set_num_threads(1)
    limit = timedelta(seconds=PATIENCE)
    dist.init_process_group("gloo", store=dist.FileStore(store, RANKS), rank=rank, world_size=RANKS, timeout=limit)
    try:
        work(rank)
        dist.barrier()  # who is done first must not close the connection of the other
        told.send("")
    except BaseException:
        import traceback

        told.send(f"rank {rank}: {traceback.format_exc()}")
    finally:
        told.close()


def launched(work, store):
    """Run ``work(rank)`` on every rank; what fails on any of them fails here, with its traceback.

    The ranks are forked from one server, which has imported torch once for all launches.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed.fsdp", "danlu.optim", "danlu.train"])
    pairs = [context.Pipe(duplex=False) for _ in range(RANKS)]
    processes = [context.Process(target=_ranked, args=(k, work, str(store), end)) for k, (_, end) in enumerate(pairs)]
    for process, (_, end) in zip(processes, pairs, strict=True):
        process.start()
        end.close()
    failures, waiting = [], [mine for mine, _ in pairs]
    try:
        while waiting and not failures:
            ready = wait(waiting, PATIENCE)
            failures += [] if ready else ["the ranks took too long"]
            for each in ready:
                waiting.remove(each)
                failures += [each.recv()]
            failures = [failure for failure in failures if failure]
    except EOFError:
        failures.append("a rank died without a word")
    finally:
        for process in processes:
            process.join(10 if failures else PATIENCE)  # the other one may be about to say why
            process.kill()
            process.join()
    for mine in waiting:
        failures += [mine.recv()] if mine.poll() else []
    assert not failures, "\n".join(failures)


def here(path: Path, name: str) -> str:
    """The folder from which a test's module has its name."""
    return str(path.parents[name.count(".")])
