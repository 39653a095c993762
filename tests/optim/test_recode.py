"""State of one codec loaded into a rule with another: decoded by the one, encoded by the other, never taken as it is."""

import copy
import json
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim import store
from danlu.optim.catalog import PIECES
from danlu.optim.piece import Codec
from danlu.optim.recode import _read, _table
from danlu.optim.values import Tick
from tests.optim.stepping import advance, gradients, parameters, same

SHAPES = ((24, 32), (3, 4, 5), (9,))
CODECS = {
    "dense": store.Dense(),
    "rounded": store.Dense(torch.bfloat16),
    "words": store.BFloat16(),
    "int8": store.Int8(),
    "int8 in other blocks": store.Int8(block=64),
    "int8 for large ones": store.Int8(min_size=100),
    "float8": store.Float8(),
    "squares": store.SquareMatricized(),
    "factors": store.Factored(),
    "cover": store.Cover(),
    "means": store.BlockMean(),
}
PRESETS = ("adamw", "lion", "schedule_free_adamw")
FIRST = Tick(0, 0.0, 1.0)


def made(name, codec, dtype=torch.float32, shapes=SHAPES):
    params = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in shapes]
    return params, optim.create(name, [(f"p{i}", p) for i, p in enumerate(params)], store=codec)


@cache
def walked(name, which, dtype=torch.float32):
    params, optimizer = made(name, CODECS[which], dtype)
    advance(optimizer, gradients(params, 3))
    return optimizer.state_dict()


def parts_of(entry, slot):
    return {key[len(slot) + 1 :]: x for key, x in entry.items() if key == slot or key.startswith(f"{slot}.")}


def expected(entry, slot, ours, theirs, p):
    """The parts that the slot should have, from its law: the same bits, a cast, or encode of decode."""
    parts = parts_of(entry, slot)
    ours, theirs = ours.at(p.numel()), theirs.at(p.numel())
    if ours == theirs:
        return parts
    if parts.keys() == {""} and parts[""].shape == p.shape and (isinstance(ours, store.Dense) or ours.paired):
        return {
            "": parts[""].to(ours.encode(p.detach().float(), ours.scalars(FIRST))[""].dtype)
        }  # plain numbers, to plain ones
    return ours.encode(theirs.decode(parts, p.detach().float()), ours.scalars(FIRST))


@pytest.mark.parametrize("theirs", CODECS)
@pytest.mark.parametrize("name", PRESETS)
def test_every_codec_goes_on_with_the_numbers_of_every_other(name, theirs):
    state = walked(name, theirs)
    source = made(name, CODECS[theirs])[1].rule().codecs
    for which, codec in CODECS.items():
        params, optimizer = made(name, codec)
        optimizer.load_state_dict(copy.deepcopy(state))
        for i, p in enumerate(params):
            for slot, ours in optimizer.rule().codecs.items():
                wanted = expected(state["state"][i], slot, ours, source[slot], p)
                got = parts_of(optimizer.state[p], slot)
                assert got.keys() == wanted.keys(), (which, slot)
                assert all(torch.equal(got[k], wanted[k]) and got[k].dtype == wanted[k].dtype for k in got), (which, slot)
        again = made(name, codec)[1]
        again.load_state_dict(optimizer.state_dict())
        assert same(again.state_dict(), optimizer.state_dict()), which
        advance(optimizer, gradients(params, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_there_and_back_stays_near_in_every_dtype(dtype):
    for which in ("int8", "float8"):
        state = walked("adamw", "dense", dtype)
        params, narrow = made("adamw", CODECS[which], dtype)
        narrow.load_state_dict(copy.deepcopy(state))
        wide = made("adamw", store.Dense(), dtype)[1]
        wide.load_state_dict(narrow.state_dict())
        assert all("exp_avg.code" in narrow.state[p] for p in params)
        for entry, old in zip(wide.state_dict()["state"].values(), state["state"].values(), strict=True):
            for slot in ("exp_avg", "exp_avg_sq"):
                assert entry[slot].dtype == old[slot].dtype
                assert 0 < (entry[slot] - old[slot]).abs().max() < 0.1 * old[slot].abs().max()


def test_the_note_is_that_of_the_group_that_a_parameter_was_saved_in():
    params = [nn.Parameter(torch.ones(16, 16)) for _ in range(2)]
    groups = [{"params": [("a", params[0])]}, {"params": [("b", params[1])], "rule": optim.create("adamw", params)._builder}]
    mixed = optim.create("adamw", groups, store="float8")
    advance(mixed, gradients(params, 2))
    state = mixed.state_dict()
    assert ["codecs" in group for group in state["param_groups"]] == [True, False]
    swapped = optim.create("adamw", [{"params": [("b", params[1])]}, {"params": [("a", params[0])]}], store="int8")
    swapped.load_state_dict(state)
    for i, p in enumerate(params):
        codecs = mixed.rule(i).codecs, swapped.rule().codecs
        for slot in ("exp_avg", "exp_avg_sq"):
            wanted = expected(state["state"][i], slot, codecs[1][slot], codecs[0][slot], p)
            assert same(parts_of(swapped.state[p], slot), wanted)


@pytest.mark.parametrize("name", PIECES["store"])
def test_a_note_is_plain_data_that_names_its_codec(name):
    codec = PIECES["store"].get(name).build()
    note = json.loads(json.dumps(_table(codec))) if name != "dense" else {"name": "dense"}
    assert note["name"] == name
    assert _read(note, "exp_avg") == codec


@pytest.mark.parametrize(
    ("note", "line"),
    [
        (
            {"name": "int9"},
            "{'name': 'int9'}, which is no codec here (no store piece 'int9'; did you mean 'int8'?)",
        ),
        ({"name": "int8", "block": 0}, "which is no codec here (store.Int8: block must be in"),
        ({"name": "int8", "blocks": 8}, "which is no codec here (store.int8: no option 'blocks'; did you mean 'block'?)"),
        ({"block": 8}, "which is no codec here (no store piece ''"),
        ("Int8(block=256)", "which is no codec here"),
        (
            {"name": "int8", "block": 64},
            "exp_avg of p0 is not what Int8(block=64, root=False, min_size=0) keeps, which",
        ),
        ({"name": "factored"}, "exp_avg of p0 is not what Factored(dims='flatten') keeps, which its group says has kept it"),
    ],
)
def test_a_wrong_note_is_refused(note, line):
    for codec in (store.Dense(), store.Float8()):
        state = copy.deepcopy(walked("adamw", "int8"))
        state["param_groups"][0]["codecs"]["exp_avg"] = note
        params, optimizer = made("adamw", codec)
        with pytest.raises(ValueError) as raised:
            optimizer.load_state_dict(state)
        assert line in str(raised.value)
        assert not any(optimizer.state.get(p) for p in params)


def test_a_state_without_notes_is_taken_as_its_names_and_shapes_say():
    state = copy.deepcopy(walked("adamw", "int8"))
    del state["param_groups"][0]["codecs"]
    optimizer = made("adamw", store.Int8())[1]
    optimizer.load_state_dict(copy.deepcopy(state))
    assert same(optimizer.state_dict()["state"], state["state"])
    with pytest.raises(ValueError, match="the state of p0 has no 'exp_avg', which this rule keeps"):
        made("adamw", store.Dense())[1].load_state_dict(state)


def test_torchs_state_goes_into_eight_bits():
    params, ours = made("adamw", "int8")
    theirs = torch.optim.AdamW([(f"p{i}", p) for i, p in enumerate(params)])
    advance(theirs, gradients(params, 2))
    ours.load_state_dict(theirs.state_dict())
    for p in params:
        codec = ours.rule().codecs["exp_avg_sq"]
        assert same(parts_of(ours.state[p], "exp_avg_sq"), codec.encode(theirs.state[p]["exp_avg_sq"], {}))


@dataclass(frozen=True)
class Counted(Codec):
    """Halves, and the shapes that were asked for without numbers."""

    asked: ClassVar[list[torch.Size]] = []

    def encode(self, x, h):
        if x.is_meta:
            self.asked.append(x.shape)
        return {"half": x / 2}

    def decode(self, parts, like):
        return 2 * parts["half"].to(like.dtype)


def test_loading_asks_once_per_shape_what_a_codec_keeps():
    """Without numbers the law of eight bits takes 20 ms and more: a model of 500 layers took minutes."""
    params, optimizer = made("adamw", Counted(), shapes=((6, 5),) * 20)
    advance(optimizer, gradients(params, 1))
    state = optimizer.state_dict()
    Counted.asked.clear()
    optimizer.load_state_dict(state)
    dense = made("adamw", store.Dense(), shapes=((6, 5),) * 20)[1]
    advance(dense, gradients(parameters(dense), 1))
    optimizer.load_state_dict(dense.state_dict())
    assert len(Counted.asked) <= 1
