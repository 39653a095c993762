"""Two processes against one, over gloo. Many checks share a launch, which takes some seconds."""

import pytest
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from danlu import optim
from danlu.loss import LossSum
from danlu.train import NonFiniteError, RankError, Update, evaluate

from .toys import cut, loss, network, same, tokens

SIZES = [[3, 1, 4], [2]]  # the micro-batches of each rank
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9),
    "adamw": lambda p: optim.create("adamw", p, lr=0.01),
    "adalo": lambda p: optim.AdaLo(p, lr=3e3),
    "sam": lambda p: optim.SAM(p, lr=0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
}


def shares(batch):
    """One batch, cut into the windows of all ranks."""
    pieces = cut(batch, [n for sizes in SIZES for n in sizes])
    return pieces[: len(SIZES[0])], pieces[len(SIZES[0]) :]


def with_part(model, batch):
    found = loss(model, batch)
    return LossSum(found.total, found.count, found.measures, {"size": (model(batch[0]).square().sum(), len(batch[0]))})


def alone(make, function, precision="fp32", dtype=torch.float64):
    """The same training in one process, whole batches."""
    model = network().to(dtype)
    update = Update(model, function, make(model.parameters()), clip=0.2, precision=precision)
    reports = []
    for k in range(3):
        x, y = tokens(10, k)
        reports.append(update([(x.to(dtype), y)]))
    return list(model.parameters()), reports


NEAR = {"lbfgs": 1e-9}  # it turns weights that differ by one rounding into some that differ by 1e-10


def agree(rank, model, reports, wanted, near):
    for p, w in zip(model.parameters(), wanted[0], strict=True):
        whole = p.full_tensor() if hasattr(p, "full_tensor") else p
        torch.testing.assert_close(whole.detach(), w.detach(), rtol=near, atol=near)
    for r, w in zip(reports, wanted[1], strict=True):
        assert (r.count, r.clipped, r.skipped) == (w.count, w.clipped, w.skipped)
        assert r.loss == pytest.approx(w.loss, rel=10 * near)
        assert r.grad_norm == pytest.approx(w.grad_norm, rel=100 * near)
        assert {k: v[1] for k, v in r.measures.items()} == {k: v[1] for k, v in w.measures.items()}


def training(rank, make, function, wrap, precision="fp32", dtype=torch.float64):
    model = wrap(network().to(dtype))
    update = Update(model, function, make(model.parameters()), clip=0.2, precision=precision)
    reports = []
    for k in range(3):
        x, y = tokens(10, k)
        reports.append(update(shares((x.to(dtype), y))[rank]))
    return model, reports, update


def wrapped(rank):
    for name, make in OPTIMIZERS.items():
        model, reports, _ = training(rank, make, loss, DistributedDataParallel)
        agree(rank, model, reports, alone(make, loss), NEAR.get(name, 1e-11))
    model, reports, _ = training(rank, OPTIMIZERS["sgd"], with_part, DistributedDataParallel)
    agree(rank, model, reports, alone(OPTIMIZERS["sgd"], with_part), 1e-11)
    model, reports, update = training(rank, OPTIMIZERS["sgd"], loss, DistributedDataParallel, "fp16", torch.float32)
    agree(rank, model, reports, alone(OPTIMIZERS["sgd"], loss, "fp16", torch.float32), 1e-3)
    assert update.scaler.nominal == reports[0].count

    synchronised_once_per_update(rank)
    what_one_rank_finds_all_do(rank)
    failures_are_shared(rank)
    evaluation_of_uneven_shards(rank)


def synchronised_once_per_update(rank):
    sent = []

    def counting(state, bucket):
        sent.append(bucket.index())
        future = dist.all_reduce(bucket.buffer().div_(2), async_op=True).get_future()
        return future.then(lambda f: f.value()[0])

    def hooked(model):
        model = DistributedDataParallel(model)
        model.register_comm_hook(None, counting)
        return model

    model, reports, _ = training(rank, OPTIMIZERS["sgd"], loss, hooked)
    agree(rank, model, reports, alone(OPTIMIZERS["sgd"], loss), 1e-11)
    assert len(sent) == 3 * len(set(sent))  # three updates, of windows of 3 and 1


def what_one_rank_finds_all_do(rank):
    model = DistributedDataParallel(network().float())

    spoilt = []

    def infinite(model, batch):
        found = loss(model, batch)
        return (found.total * float("inf") if spoilt and rank == 1 else found.total), found.count

    def overflowing(model, batch):
        found = loss(model, batch)
        return (found.total * 2.0**-120 * 2.0**120 if rank == 0 else found.total), found.count

    window = [(x.float(), y) for x, y in shares(tokens(10))[rank]]
    update = Update(model, infinite, torch.optim.SGD(model.parameters(), lr=0.1), nonfinite="skip")
    before = [p.detach().clone() for p in model.parameters()]
    spoilt.append(True)
    assert update(window).skipped
    assert same(before, list(model.parameters()))
    spoilt.clear()
    assert not update(window).skipped
    assert not update(window).stop
    assert update(window, stop=rank == 1).stop  # what rank 1 wishes, rank 0 hears

    update = Update(model, overflowing, torch.optim.SGD(model.parameters(), lr=0.1), precision="fp16")
    report = update(window)  # 2¹²⁰ · 2¹⁶ is beyond float32 on the way back, on rank 0 only
    assert not report.skipped
    assert report.backoffs > 2
    everywhere = [None, None]
    dist.all_gather_object(everywhere, (report.backoffs, report.loss, report.grad_norm, update.scaler.scale))
    assert everywhere[0] == everywhere[1]


def failures_are_shared(rank):
    window = shares(tokens(10))[rank]

    def new(function):
        model = DistributedDataParallel(network())
        return Update(model, function, torch.optim.SGD(model.parameters(), lr=0.1))

    for updates in (0, 1):
        update, failing.on = new(failing), None
        for _ in range(updates):
            assert not update(window).skipped
        failing.on = 0
        with pytest.raises(ZeroDivisionError if rank == 0 else RankError):
            update(window)

    def detached(model, batch):
        found = loss(model, batch)
        return (found.total.detach() if rank == 1 else found.total), found.count

    with pytest.raises(ValueError if rank == 1 else RankError, match=r"does not depend on the model|1 of 2 ranks failed"):
        new(detached)(window)

    def renaming(model, batch):
        found = loss(model, batch)
        return LossSum(found.total, found.count, {"new": (1, 1)} if renamed and rank == 0 else {})

    update, renamed = new(renaming), False
    update(window)
    renamed = True
    with pytest.raises(ValueError if rank == 0 else RankError, match=r"measure new was in no rank's first window|1 of 2"):
        update(window)


def failing(model, batch):
    found = loss(model, batch)
    1 / (0 if failing.on == dist.get_rank() and len(batch[0]) == 1 else 1)
    return found


failing.on = None


def evaluation_of_uneven_shards(rank):
    model, batch = network(), tokens(10, 5)
    wanted = evaluate(model, with_part, [batch])
    parallel = DistributedDataParallel(model)
    for sizes in ([[3, 1, 4], [2]], [[4, 6], []]):
        pieces = cut(batch, [n for each in sizes for n in each])
        mine = pieces[: len(sizes[0])] if rank == 0 else pieces[len(sizes[0]) :]
        assert evaluate(parallel, with_part, mine) == {name: pytest.approx(value, rel=1e-13) for name, value in wanted.items()}
    with pytest.raises(ZeroDivisionError if rank == 0 else RankError):
        evaluate(parallel, lambda m, b: 1 / rank, [batch] if rank == 0 else [])
    with pytest.raises(ValueError, match="gave no batch"):
        evaluate(parallel, loss, [])


def sharded(rank):
    def shard(model):
        for layer in (model[0], model[2]):
            fully_shard(layer)
        return fully_shard(model)

    for name in ("sgd", "torch adamw"):
        make = OPTIMIZERS.get(name, lambda p: torch.optim.AdamW(p, lr=0.01))
        model, reports, _ = training(rank, make, loss, shard)
        agree(rank, model, reports, alone(make, loss), NEAR.get(name, 1e-11))
    model, reports, _ = training(rank, OPTIMIZERS["sgd"], with_part, shard)
    agree(rank, model, reports, alone(OPTIMIZERS["sgd"], with_part), 1e-11)
    model, reports, _ = training(rank, OPTIMIZERS["sgd"], loss, shard, "fp16", torch.float32)
    agree(rank, model, reports, alone(OPTIMIZERS["sgd"], loss, "fp16", torch.float32), 1e-3)
    with pytest.raises(NonFiniteError, match=r"gradients in 0\.weight"):
        Update(model, loss, torch.optim.SGD(model.parameters(), lr=0.1))([(torch.full((2, 3, 3), float("nan")), tokens(2)[1])])


def everything(rank):
    wrapped(rank)
    sharded(rank)


def test_two_ranks_are_one_process(launch):
    launch(everything)
