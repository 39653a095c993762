"""Loading state: matched by name, checked whole, all or nothing."""

import copy

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim import store
from danlu.registry import did_you_mean
from tests.optim.stepping import PRESETS, advance, gradients, make, parameters, same, snapshot, start

NAMES = ("weight", "bias", "scale")


def named():
    """A walked optimizer over named parameters, and a fresh one of the same shapes."""
    pairs = list(zip(NAMES, start(), strict=True))
    optimizer = make("adamw", pairs)
    advance(optimizer, gradients(parameters(optimizer), 3))
    return optimizer, make("adamw", list(zip(NAMES, start(), strict=True)))


def refused(optimizer, state, message, **options):
    """The load raises exactly this line, and nothing changed."""
    before, groups = snapshot(optimizer), copy.deepcopy(optimizer.state_dict()["param_groups"])
    with pytest.raises(ValueError) as raised:
        optimizer.load_state_dict(state, **options)
    assert str(raised.value) == message
    assert same(snapshot(optimizer), before)
    assert same(optimizer.state_dict()["param_groups"], groups)


def test_state_is_matched_by_name_whatever_the_order():
    optimizer, _ = named()
    values = [nn.Parameter(p.detach().clone()) for p in parameters(optimizer)]
    backwards = make("adamw", list(zip(NAMES, values, strict=True))[::-1])
    backwards.load_state_dict(optimizer.state_dict())
    assert backwards.param_groups[0]["param_names"] == list(NAMES[::-1])
    assert same(snapshot(backwards)[::-1], snapshot(optimizer))


def test_names_are_followed_from_group_to_group():
    optimizer, _ = named()
    weight, bias, scale = zip(NAMES, start(), strict=True)
    optimizer.add_param_group({"params": [("late", nn.Parameter(torch.ones(2)))]})
    late = ("late", nn.Parameter(torch.ones(2)))
    other = make("adamw", [{"params": [late, scale]}, {"params": [bias, weight]}])
    other.load_state_dict(optimizer.state_dict())
    assert same(dict(other.state[bias[1]]), dict(optimizer.state[parameters(optimizer)[1]]))
    assert same(dict(other.state[scale[1]]), dict(optimizer.state[parameters(optimizer)[2]]))
    assert late[1] not in other.state


def test_unnamed_state_is_matched_by_position_with_a_warning():
    optimizer, fresh = named()
    state = optimizer.state_dict()
    del state["param_groups"][0]["param_names"]
    with pytest.warns(
        UserWarning, match=r"matched by position, because names are not known on both sides; build the optimizer"
    ):
        fresh.load_state_dict(state)
    assert same(dict(fresh.state[parameters(fresh)[1]]), dict(optimizer.state[parameters(optimizer)[1]]))


def test_a_wrong_shape_is_refused_by_name():
    optimizer, fresh = named()
    state = optimizer.state_dict()
    state["state"][1]["exp_avg_sq"] = torch.zeros(7)
    refused(fresh, state, "load_state_dict: 'exp_avg_sq' of bias has shape (7,), the parameter's is (5,)")


def test_a_missing_slot_is_refused_by_name():
    optimizer, fresh = named()
    state = optimizer.state_dict()
    del state["state"][2]["exp_avg_sq"]
    refused(
        fresh, state, "load_state_dict: the state of scale has no 'exp_avg_sq', which this rule keeps; it has step, exp_avg"
    )
    state = optimizer.state_dict()
    del state["state"][0]["step"]
    refused(
        fresh,
        state,
        "load_state_dict: the state of weight has no 'step', and this rule counts steps; it has exp_avg, exp_avg_sq",
    )


def test_a_missing_host_number_is_refused_by_name():
    optimizer = make("nadam", [("w", nn.Parameter(torch.ones(2)))])
    advance(optimizer, [[torch.ones(2)]])
    state = optimizer.state_dict()
    del state["state"][0]["mu_product"]
    line = "load_state_dict: the state of w has no 'mu_product', which this rule keeps; it has step, exp_avg, exp_avg_sq"
    refused(make("nadam", [("w", nn.Parameter(torch.ones(2)))]), state, line)


def test_an_unknown_slot_is_refused_by_name():
    optimizer, fresh = named()
    state = optimizer.state_dict()
    state["state"][0]["exp_avgs"] = state["state"][0]["exp_avg"]
    hint = did_you_mean("exp_avgs", ["exp_avg", "exp_avg_sq", "step"])
    refused(fresh, state, f"load_state_dict: the state of weight has 'exp_avgs', which this rule does not keep{hint}")


def test_missing_and_unexpected_names_are_refused_and_strict_lets_them_pass():
    optimizer, _ = named()
    params = start()
    other = make("adamw", [("weight", params[0]), ("offset", params[1])])
    line = "load_state_dict: missing offset; unexpected bias, scale; strict=False keeps the missing ones fresh"
    refused(other, optimizer.state_dict(), line)
    other.load_state_dict(optimizer.state_dict(), strict=False)
    assert other.state[params[0]]["step"] == 3
    assert params[1] not in other.state


def test_other_numbers_of_groups_and_parameters_are_refused():
    optimizer, fresh = named()
    two = make("adamw", [{"params": [p]} for p in start()[:2]])
    refused(two, optimizer.state_dict(), "load_state_dict: the state has 1 parameter groups, this optimizer 2")
    with pytest.warns(UserWarning, match="matched by position"):
        refused(
            make("adamw", start()[:2]),
            optimizer.state_dict(),
            "load_state_dict: group 0 of the state has 3 parameters, this optimizer's 2",
        )
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = -1.0
    refused(fresh, state, "adamw: lr must be in [0, inf), got -1.0")
    state["param_groups"][0].update(lr=0.1, betas=(0.9, 1.0))
    refused(fresh, state, "adamw: betas[1] must be in [0, 1), got 1.0")


def test_parameters_that_never_stepped_load_as_such():
    walked, fresh = named()
    walked.load_state_dict(fresh.state_dict())
    assert not walked.state


def test_state_is_cast_to_the_compute_dtype_and_the_parameters_layout():
    p = nn.Parameter(torch.ones(2, 3, 4, 5, dtype=torch.bfloat16).to(memory_format=torch.channels_last))
    optimizer = make("adamw", [("w", p)])
    moments = {key: torch.randn(2, 3, 4, 5, dtype=torch.float64) for key in ("exp_avg", "exp_avg_sq")}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": {0: {"step": torch.tensor(3.0), **moments}}})
    loaded = optimizer.state[p]
    assert loaded["step"] == 3
    assert isinstance(loaded["step"], int)
    for key, value in moments.items():
        assert loaded[key].stride() == p.stride()
        assert torch.equal(loaded[key], value.float())


@pytest.mark.parametrize("name", PRESETS)
def test_a_group_added_after_loading_is_as_if_never_stopped(name):
    params, late = start(), [nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2)]
    whole, rows = make(name, list(zip(NAMES, params, strict=True))), gradients([*params, late[0]], 5)
    advance(whole, [row[:3] for row in rows[:2]])
    loaded = make(name, [(n, nn.Parameter(p.detach().clone())) for n, p in zip(NAMES, params, strict=True)])
    loaded.load_state_dict(whole.state_dict())
    for optimizer, p in zip((whole, loaded), late, strict=True):
        optimizer.add_param_group({"params": [("late", p)], "lr": 0.2})
    assert same(advance(loaded, rows[2:]), advance(whole, rows[2:]))
    assert same(snapshot(loaded), snapshot(whole))
    assert loaded.state[late[1]]["step"] == 3


@pytest.mark.parametrize("name", PRESETS)
def test_every_slot_of_another_shape_is_refused(name):
    p = ("w", nn.Parameter(torch.ones(3, 4)))
    optimizer = make(name, [p])
    advance(optimizer, [[torch.ones(3, 4)]])
    for key, value in optimizer.state_dict()["state"][0].items():
        if isinstance(value, torch.Tensor):
            state = optimizer.state_dict()
            state["state"][0][key] = torch.zeros(7, 7, 7)
            line = f"load_state_dict: {key!r} of w has shape (7, 7, 7), the parameter's is {tuple(value.shape)}"
            refused(optimizer, state, line)


def test_codes_of_another_codec_are_converted():
    p = nn.Parameter(torch.ones(64, 64))

    def kept_by(codec):
        return make("adamw", [("w", p)], store=codec)

    walked = kept_by(store.Float8())
    advance(walked, [[torch.randn(64, 64, generator=torch.Generator().manual_seed(0))]])
    for other in (store.Int8(), {"exp_avg": store.Float8(), "exp_avg_sq": store.Float8()}):  # the second without roots
        converted = kept_by(other)
        converted.load_state_dict(walked.state_dict())
        old, new = (x.rule().codecs["exp_avg_sq"] for x in (walked, converted))
        parts = {name: [x.state[p][f"exp_avg_sq.{name}"] for x in (walked, converted)] for name in ("code", "scale")}
        value = old.decode({name: pair[0] for name, pair in parts.items()}, p.detach())
        assert same({name: pair[1] for name, pair in parts.items()}, new.encode(value, {}))
        assert not torch.equal(*parts["code"])

    again = kept_by(store.Float8(min_size=100))  # a setting that says nothing of this tensor
    again.load_state_dict(walked.state_dict())
    assert same(dict(again.state[p]), dict(walked.state[p]))
    assert "codecs" not in again.param_groups[0]

    old = walked.state_dict()
    del old["param_groups"][0]["codecs"]  # saved before codecs were noted
    again.load_state_dict(old)
    assert "codecs" not in kept_by(store.Dense()).state_dict()["param_groups"][0]  # torch's keys, where torch could load it


@pytest.mark.parametrize("compiled", ["ours", "theirs"])
def test_names_are_those_without_torch_compile(compiled):
    models = {which: nn.Sequential(nn.Linear(3, 2)) for which in ("ours", "theirs")}
    given = {which: torch.compile(x, backend="eager") if which == compiled else x for which, x in models.items()}
    ours, theirs = (optim.create("adamw", given[which]) for which in ("ours", "theirs"))
    advance(theirs, gradients([*models["theirs"].parameters()], 2))
    ours.load_state_dict(theirs.state_dict())
    pairs = zip(models["ours"].parameters(), models["theirs"].parameters(), strict=True)
    assert all(torch.equal(ours.state[p]["exp_avg"], theirs.state[q]["exp_avg"]) for p, q in pairs)


class Wrapped(nn.Module):
    """Names as in DistributedDataParallel, which needs processes."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.mark.parametrize("wrapped", ["ours", "theirs"])
@pytest.mark.parametrize("compiled", [False, True])
def test_names_are_those_without_a_wrapper_around_one_side(wrapped, compiled):
    models = {which: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for which in ("ours", "theirs")}
    given = dict(models)
    given[wrapped] = Wrapped(torch.compile(given[wrapped], backend="eager") if compiled else given[wrapped])
    ours, theirs = (optim.create("adamw", x, average="ema", buffers="average") for x in given.values())
    advance(theirs, gradients([*models["theirs"].parameters()], 2))
    models["theirs"][1].running_mean += 1.0
    advance(theirs, gradients([*models["theirs"].parameters()], 1))
    saved = theirs.state_dict()
    ours.load_state_dict(saved)
    pairs = zip(models["ours"].parameters(), models["theirs"].parameters(), strict=True)
    assert all(torch.equal(ours.state[p]["exp_avg"], theirs.state[q]["exp_avg"]) for p, q in pairs)
    assert list(saved["buffers"].values()) != []
    assert same(list(ours.state_dict()["buffers"].values()), list(saved["buffers"].values()))
    advance(ours, gradients([*models["ours"].parameters()], 1))
    with ours.averaged():
        assert not torch.equal(models["ours"][1].running_mean, torch.zeros(2))


def test_a_part_that_is_called_module_keeps_its_name():
    """Only what all names of one side have, and none of the other, can be a wrapper's."""
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    whole = make("adamw", [("module.a", p), ("a", q)])
    advance(whole, [[torch.ones(2), -torch.ones(2)]])
    part = make("adamw", [("module.a", nn.Parameter(torch.ones(2)))])
    part.load_state_dict(whole.state_dict(), strict=False)
    assert same(snapshot(part)[0][1], snapshot(whole)[0][1])
    missing = "load_state_dict: missing a; strict=False keeps the missing ones fresh"
    refused(whole, part.state_dict(), missing)
