"""A trainer on two ranks: one process's curve, one folder, one decision; many checks share a launch."""

import json
import signal
from functools import partial

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from danlu.data import Loader
from danlu.optim import create
from danlu.schedule import Cosine, Schedule
from danlu.train import Accuracy, Callback, EarlyStop, Inspect, NonFiniteError, Observer, RankError, Trainer, on

from .toys import loss, network, same, tokens

UPDATES = 11


class Rows(list):
    """A data set of pairs; five batches of four, the last one of two."""

    def __init__(self, n=18, seed=3):
        super().__init__(zip(*tokens(n, seed), strict=True))


def trainer(out=None, *extra, ranks=2, observers=(), **options):
    model = network(0, *extra)
    optimizer = create("adamw", model, 0.03, average="ema")
    plain = {"until": UPDATES, "evaluate_every": 3, "log_every": 1, "save_every": 2, "schedule": Schedule(Cosine(), warmup=2)}
    model = DistributedDataParallel(model) if ranks > 1 else model
    return Trainer(model, options.pop("criterion", loss), optimizer, out=out, observers=observers, **{**plain, **options})


def fit(out=None, *extra, rank=0, ranks=2, **options):
    made = trainer(out, *extra, ranks=ranks, **options)
    return made.fit(*(Loader(Rows(n, seed), batch=4, rank=rank, world=ranks) for n, seed in ((18, 3), (10, 5)))), made


def noise():
    return nn.Dropout(0.3), nn.BatchNorm1d(3)


def files(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: x for k, x in row.items() if k != "seconds"} for row in lines if row["event"] in {"update", "evaluated"}]
    return rows, load_file(out / "model.safetensors"), load_file(out / "raw.safetensors")


def gathered(mine):
    found = [None, None]
    dist.all_gather_object(found, mine)
    return found


class Told(Observer):
    def __init__(self):
        self.seen = []

    def update(self, clock, report):
        self.seen.append(clock.done)


def on_rank(rank, wanted, at, work):
    """A callback that does something on one rank after window `at`."""

    def update(clock, report):
        if rank == wanted and clock.done == at:
            work()

    return on("update", update)


def term():
    signal.raise_signal(signal.SIGTERM)


def close(rows, others):
    assert [row.keys() for row in rows] == [row.keys() for row in others]
    for row, other in zip(rows, others, strict=True):
        for name in row.keys() - {"seconds", "event"}:
            assert row[name] == pytest.approx(other[name], rel=1e-11, abs=1e-11), name


def one_curve(rank, folder):
    """History, weights and metrics are those of one process; only the first rank writes and is watched."""
    watch = Told()
    options = {"metrics": {"right": Accuracy()}, "clip": 0.5, "accumulate": 2, "evaluate_raw": True}
    result, made = fit(folder / "two", rank=rank, observers=[watch], **options)
    alone, twin = fit(None, ranks=1, **options)
    close(result.history, alone.history)
    assert "valid/right" in result.final
    for p, q in zip(made.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-11)
    assert gathered(result.history)[1 - rank] == result.history
    assert (len(watch.seen), made.directory is None) == ((UPDATES, False) if rank == 0 else (0, True))
    assert result.path == folder / "two"
    assert sorted(load_file(result.path / "model.safetensors")) == sorted(twin.model.state_dict())  # no "module."


def resumes(rank, folder):
    """Stopped by a signal on one rank, all end at one update; resumed, with dropout and BatchNorm, it was never stopped."""
    drawn = []
    draw = on("update", lambda clock, report: drawn.append(torch.rand(1).item()))  # what dropout would draw next
    whole, _ = fit(folder / "whole", *noise(), rank=rank, callbacks=[draw])
    assert len({*drawn, *gathered(drawn)[1 - rank]}) == 2 * UPDATES  # other masks in every update and on every rank
    out = folder / "stopped"
    stopped, _ = fit(out, *noise(), rank=rank, callbacks=[on_rank(rank, 1, 7, term), draw])
    assert (stopped.interrupted, stopped.signal, stopped.steps) == (True, "SIGTERM", 8)  # the update after, on both
    went_on, _ = fit(out, *noise(), rank=rank, resume=True, callbacks=[on_rank(rank, 1, 7, term), draw])
    assert went_on.history[-1]["valid/loss"] == whole.history[-1]["valid/loss"]
    assert same(files(out), files(folder / "whole"))
    left = [{path.name for path in run.iterdir()} - {".lock"} for run in (out, folder / "whole")]
    assert left[0] == left[1] >= {"checkpoints", "env.json", "metrics.jsonl", "status.json"}


def another_number_of_ranks(rank, folder):
    fit(folder / "less", rank=rank, callbacks=[on_rank(rank, 0, 5, term)])
    if rank == 0:
        with pytest.warns(UserWarning, match=r"^step-000000006 was made by 2 rank\(s\), now there are 1; .* rounding$"):
            alone, _ = fit(folder / "less", ranks=1, resume=True, callbacks=[on_rank(rank, 1, 5, term)])
        assert alone.steps == UPDATES
    dist.barrier()
    close(files(folder / "less")[0], files(folder / "plain")[0])


def decisions(rank, folder):
    """Early stopping and a wish of one rank's callback end all at the same window; NaN on one rank is found by all."""
    options = {"metric": "train/loss", "patience": "3st", "min_delta": 9.0}
    early, _ = fit(rank=rank, callbacks=[EarlyStop(**options, restore=True)])
    assert (early.steps, early.stopped[:24]) == (6, "train/loss has not impro")
    assert early.steps == fit(ranks=1, callbacks=[EarlyStop(**options)])[0].steps

    class Wish(Callback):
        def stops(self, clock):
            return "enough" if rank == 1 and clock.done == 4 else ""

    wished, _ = fit(rank=rank, callbacks=[Wish()])
    assert (wished.steps, wished.stopped) == (4, "enough")

    def spoilt(model, batch):
        found = loss(model, batch)
        return found.total * (float("nan") if rank == 1 else 1), found.count

    with pytest.raises(NonFiniteError, match="update 0: loss is nan"):
        fit(rank=rank, criterion=spoilt)
    ended, _ = fit(folder / "nan", rank=rank, criterion=spoilt, nonfinite="stop")
    assert (ended.steps, ended.skipped) == (0, 1)
    assert "loss is nan" in ended.stopped


def by_the_clock(rank, folder):
    """Lengths in time go by the first rank's clock, however slow another one's is."""
    import danlu.train.ranks as module

    class Fast:
        count = 0.0

        def perf_counter(self):
            Fast.count += 1.0 if rank == 0 else 100.0
            return Fast.count

    real, module.time = module.time, Fast()
    try:
        result, _ = fit(rank=rank, until="20s", evaluate_every="5s", schedule=None, callbacks=[EarlyStop(patience="1h")])
    finally:
        module.time = real
    assert gathered(result.history)[1 - rank] == result.history
    assert len({row["seconds"] for row in result.history}) > 2


def failures(rank, folder):
    """What fails on one rank ends all, whoever it is and wherever."""

    def bad():
        raise ZeroDivisionError("on purpose")

    for wanted in (0, 1):
        for point, work in (("update", on_rank(rank, wanted, 6, bad)), ("batch", broken_batch(rank, wanted))):
            expected = ZeroDivisionError if rank == wanted else RankError
            with pytest.raises(expected, match=r"on purpose|of 2 ranks failed"):
                fit(folder / f"{point}{wanted}", rank=rank, callbacks=[work])
            assert rank or json.loads((folder / f"{point}{wanted}" / "status.json").read_text())["state"] == "failed"
    with pytest.raises(FileExistsError if rank == 0 else RankError, match="holds another run"):
        fit(folder / "whole", rank=rank)
    with pytest.raises(ValueError, match="rank 0 has 5 windows an epoch, rank 1 has 4"):
        trainer().fit(list(Loader(Rows(18 - 4 * rank), batch=4)))
    with pytest.raises(ValueError, match="out= cannot hold a model in shards"):
        Trainer(fully_shard(network()), loss, lambda model: torch.optim.SGD(model.parameters()), out=folder / "shards")
    assert not (folder / "shards").exists()
    left = trainer(folder / "left")
    for step in left.steps(Loader(Rows(), batch=4, rank=rank, world=2)):
        if step.update().loss and step.clock.done == 3:
            break
    assert (left.result.steps, left.result.interrupted) == (4, True)


def broken_batch(rank, wanted):
    def batch(batch, draw, clock):
        if rank == wanted and clock.done == 6:
            raise ZeroDivisionError("on purpose")
        return batch

    return on("batch", batch)


def inspection(rank, folder):
    looking = Inspect(2, folder / "looks" / f"{rank}.jsonl")
    (folder / "looks").mkdir(exist_ok=True)
    fit(rank=rank, callbacks=[looking])
    dist.barrier()
    assert [path.name for path in (folder / "looks").iterdir()] == ["0.jsonl"]
    assert "0.weight" in looking.readings[0].layers


def recalibrated(rank, folder):
    """Each rank takes its own batches, but where a model was judged all have the first one's statistics; outside their own."""
    _, made = fit(folder / "recalibrated", nn.BatchNorm1d(3), rank=rank, save_every=2)
    statistics = [made.model.module[2].running_mean, made.model.module[2].running_var]
    outside = [x.clone() for x in statistics]
    with made.eval_weights():
        mine, theirs = gathered([x.clone() for x in statistics])
        assert same(mine, theirs)
        assert not same(mine, outside)
    assert same(statistics, outside)
    assert same(mine[0], load_file(folder / "recalibrated" / "model.safetensors")["2.running_mean"])


def everything(rank, folder):
    one_curve(rank, folder)
    fit(folder / "plain", rank=rank)
    resumes(rank, folder)
    recalibrated(rank, folder)
    another_number_of_ranks(rank, folder)
    decisions(rank, folder)
    by_the_clock(rank, folder)
    failures(rank, folder)
    inspection(rank, folder)


def test_two_ranks_make_the_run_of_one_process(launch, tmp_path):
    launch(partial(everything, folder=tmp_path))
