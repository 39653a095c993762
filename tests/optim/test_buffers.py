"""Averaged buffers: golden data, the same law as for parameters, the exact swap, resuming, and what is refused."""

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim import average, grad
from tests.golden.replay import load

EXACT = 1e-12
WATCHING = [average.Ema(0.8, every=2, start=1), average.EmaPower(0.8), average.Lawa(3, every=2), average.Swa(start=2)]


class Tally(nn.Module):
    """One weight, and a buffer that takes the same walk: the average of one is the average of the other."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=dtype))
        self.register_buffer("mean", torch.zeros(3, dtype=dtype))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf], dtype=dtype), persistent=False)
        self.register_buffer("count", torch.tensor(0))


def walk(model, optimizer, steps, first=0):
    for k in range(first, first + steps):
        torch.manual_seed(k)
        model.weight.grad = torch.randn(3, dtype=model.weight.dtype)
        model.mean.copy_(model.weight.detach() - optimizer.param_groups[0]["lr"] * model.weight.grad)
        model.count += 1
        optimizer.step()


def made(model, piece=WATCHING[0], **options):
    return optim.create("sgd", model, lr=0.5, average=piece, **{"buffers": "average", **options})


def test_a_running_mean_meets_golden():
    """timm begins at the buffer that it was constructed with, ours at the one that the first step finds."""
    _, arrays = load("B_ema_plain__timm_v3.npz")
    _, own = load("B_ema_plain_excl_buffers__timm_v3.npz")
    model = nn.BatchNorm1d(3).double()
    optimizer = optim.create("sgd", model, average=average.Ema(0.9), buffers="average")
    for k, row in enumerate([np.zeros(3), *own["buf"]]):
        model.running_mean.copy_(torch.tensor(row))
        model.weight.grad = torch.zeros(3).double()
        optimizer.step()
        with optimizer.averaged():
            got = model.running_mean.numpy().copy()
        assert np.abs(got - (arrays["buf"][k - 1] if k else 0.0)).max() <= EXACT
    assert np.abs(arrays["buf"] - own["buf"]).max() > 1e3 * EXACT


@pytest.mark.parametrize("piece", WATCHING, ids=lambda piece: piece.brief())
def test_a_buffer_that_walks_as_a_parameter_is_averaged_like_it(piece):
    model = Tally()
    optimizer = made(model, piece)
    optimizer.param_groups[0]["lr"] = 0.0
    walk(model, optimizer, 1)  # both begin at 0
    optimizer.param_groups[0]["lr"] = 0.5
    for k in range(1, 8):
        walk(model, optimizer, 1, k)
        with optimizer.averaged():
            torch.testing.assert_close(model.mean, model.weight.detach(), rtol=0, atol=EXACT)
        assert (model.mean - model.weight).abs().max() <= EXACT
    with optimizer.averaged():
        there = model.mean.clone()
    assert (there - model.mean).abs().max() > 0.01


def test_what_is_no_finite_float_stays_the_models_own():
    model = Tally()
    optimizer = made(model)
    walk(model, optimizer, 3)
    with optimizer.averaged():
        assert model.count == 3
        assert model.mask.tolist() == [0.0, -torch.inf]


def test_without_the_wish_buffers_are_the_models_own():
    model = Tally()
    optimizer = made(model, buffers="copy")
    walk(model, optimizer, 3)
    own = model.mean.clone()
    with optimizer.averaged():
        assert torch.equal(model.mean, own)
    assert "buffers" not in optimizer.state_dict()


def test_every_bit_comes_back_whatever_happens():
    model = Tally(torch.bfloat16)
    optimizer = made(model)
    walk(model, optimizer, 4)
    before = [buffer.clone() for buffer in model.buffers()]
    with pytest.raises(KeyError, match="mine"), optimizer.averaged():
        assert not torch.equal(model.mean, before[0])
        model.mean.fill_(7.0)
        model.count += 1
        raise KeyError("mine")
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), before, strict=True))
    assert optimizer._buffers.state["mean"]["average"].dtype == torch.float32


def test_buffers_follow_only_steps_that_were_taken():
    model = Tally()
    optimizer = made(model, grad=grad.ClipNorm(1.0))
    walk(model, optimizer, 2)
    before = optimizer.state_dict()["buffers"]
    model.weight.grad = torch.full((3,), torch.nan).double()
    model.mean += 1.0
    with pytest.warns(UserWarning, match="skipped"):
        optimizer.step()
    after = optimizer.state_dict()["buffers"]
    assert after["mean"]["step"] == before["mean"]["step"] == 2
    assert torch.equal(after["mean"]["average"], before["mean"]["average"])


@pytest.mark.parametrize("piece", WATCHING, ids=lambda piece: piece.brief())
@pytest.mark.parametrize("way", ["file", "deepcopy"])
def test_resuming_is_never_having_stopped(piece, way):
    whole = Tally()
    uninterrupted = made(whole, piece)
    walk(whole, uninterrupted, 7)
    model = Tally()
    optimizer = made(model, piece)
    walk(model, optimizer, 4)
    if way == "file":
        file, again = io.BytesIO(), Tally()
        torch.save([model.state_dict(), optimizer.state_dict()], file)
        file.seek(0)
        weights, state = torch.load(file, weights_only=True)
        again.load_state_dict(weights)
        fresh = made(again, piece)
        fresh.load_state_dict(state)
    else:
        again, fresh = copy.deepcopy((model, optimizer))
    walk(again, fresh, 3, first=4)
    assert model.count == 4
    with uninterrupted.averaged(), fresh.averaged():
        for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_torch_compile_changes_no_name_and_a_moved_module_is_followed():
    model = Tally()
    optimizer = made(torch.compile(model, backend="eager"))
    walk(model, optimizer, 2)
    assert sorted(optimizer.state_dict()["buffers"]) == ["mask", "mean"]
    model.mean = model.mean.clone()  # another tensor under the name, as module.to(...) makes it
    walk(model, optimizer, 2, first=2)
    own = model.mean.clone()
    with optimizer.averaged():
        assert not torch.equal(model.mean, own)


def test_the_module_says_it_where_groups_were_given():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    made = optim.AdamW(optim.groups(model, optim.when("vector", weight_decay=0.0)), buffers="copy")
    assert made._buffers.packed() == {}
    optimizer = optim.create("adamw", optim.groups(model), average=average.Ema(0.9), buffers=model)
    model(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    assert sorted(optimizer.state_dict()["buffers"]) == ["1.running_mean", "1.running_var"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"params": [nn.Parameter(torch.ones(1))]}, "needs the module: construct the optimizer from it, or give buffers=model"),
        ({"average": None}, r"needs an average, such as average=average\.Ema\(0\.999\)"),
        ({"average": average.Lookahead()}, r"has no meaning for average\.Lookahead, which moves the parameters"),
        ({"average": average.ScheduleFree()}, r"has no meaning for average\.ScheduleFree"),
        ({"buffers": "avrage"}, "buffers must be one of copy, average, got 'avrage'"),
    ],
    ids=["module", "average", "lookahead", "schedule_free", "word"],
)
def test_what_has_no_meaning_is_refused_with_the_fix(options, line):
    arguments = {"params": Tally(), "average": average.Ema(0.9), "buffers": "average", **options}
    with pytest.raises(ValueError, match=line):
        optim.create("sgd", **arguments)


def test_a_state_that_does_not_fit_is_refused_and_nothing_is_written():
    model, other = Tally(), Tally()
    optimizer, plain = made(model), made(other, buffers="copy")
    walk(model, optimizer, 3)
    walk(other, plain, 1)
    good, before = optimizer.state_dict(), plain.state_dict()
    with pytest.raises(ValueError, match="has averaged buffers, this optimizer has none: construct it with buffers='average'"):
        plain.load_state_dict(good)
    assert plain.state_dict()["state"][0]["step"] == before["state"][0]["step"] == 1
    plain.load_state_dict(good, strict=False)
    assert plain.state_dict()["state"][0]["step"] == 3
    with pytest.raises(ValueError, match="has no averaged buffers"):
        optimizer.load_state_dict(before)
    renamed = {**good, "buffers": {"maen": good["buffers"]["mean"], "mask": good["buffers"]["mask"]}}
    with pytest.raises(ValueError, match="missing mean"):
        optimizer.load_state_dict(renamed)
    wrong = {**good["buffers"]["mean"], "average": torch.ones(4)}
    with pytest.raises(ValueError, match=r"'average' of mean has shape \(4,\), the parameter's is \(3,\)"):
        optimizer.load_state_dict({**good, "buffers": {**good["buffers"], "mean": wrong}})
    assert torch.equal(optimizer.state_dict()["buffers"]["mean"]["average"], good["buffers"]["mean"]["average"])


def test_pieces_say_truly_whether_they_move_the_parameter():
    for piece in (*WATCHING, average.EmaRatio(0.8), average.Polynomial(), average.Lookahead(2), average.ScheduleFree()):
        plain, watched = Tally(), Tally()
        for model, options in ((plain, {}), (watched, {"average": piece})):
            walk(model, optim.create("sgd", model, lr=0.5, **options), 5)
        assert torch.equal(plain.weight, watched.weight) != piece.moves
