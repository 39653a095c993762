"""Two bfloat16 slots in one word: the memory is special, the numbers, the snapshots and the views are not."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from danlu import optim
from danlu.optim.run import kernel, words
from danlu.optim.store import BFloat16, Dense
from tests.optim.stepping import LAYOUTS, advance, gradients, laid_out, make, same, snapshot, start

CODECS = [Dense(torch.bfloat16), BFloat16(seed=3)]
RULES = {"adamw": 2, "adan": 4, "lion": 1, "ademamix": 3}  # slots
compiled = pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")


def halves(state):
    return [x for x in state.values() if isinstance(x, torch.Tensor)]


def word(state):
    return words.word_of(*halves(state)[:2])


def walk(name, params, rows, **options):
    optimizer = make(name, params, **options)
    advance(optimizer, rows)
    return snapshot(optimizer)


def test_a_word_is_its_two_halves():
    [p] = start([(3, 5)], torch.float32)
    low, high = words._halves(p)
    low.copy_(torch.randn(3, 5))
    high.copy_(torch.randn(3, 5))
    plane = words.word_of(low, high)
    opened = words.opened([("m", "v")], [plane])
    assert torch.equal(opened["m"], low.float())
    assert torch.equal(opened["v"], high.float())
    assert torch.equal(words.closed(("m", "v"), opened), plane)
    assert words.word_of(high, low) is None
    assert words.word_of(low.clone(), high) is None


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("name", RULES)
def test_slots_share_words_two_by_two(name, codec):
    """Two bytes per number: each storage holds what its two halves need, and an odd slot has its own."""
    [p] = start([(5, 7)], torch.float32)
    optimizer = make(name, [p], store=codec)
    advance(optimizer, gradients([p], 1))
    kept = halves(optimizer.state[p])
    assert [x.dtype for x in kept] == [torch.bfloat16] * RULES[name]
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in kept}
    assert len(storages) == -(-len(kept) // 2)
    assert sum(storages.values()) == 2 * 35 * len(kept)


@compiled
@pytest.mark.parametrize(("name", "codec"), [("adamw", CODECS[0]), ("adamw", CODECS[1]), ("ademamix", CODECS[1])], ids=repr)
def test_a_kernel_of_words_gives_the_bits_of_a_kernel_of_planes(name, codec, monkeypatch):
    """For an odd number of slots too."""
    ours, theirs = start([(1009,), (1,)], torch.float32), start([(1009,), (1,)], torch.float32)
    rows = gradients(ours, 4)
    got = walk(name, ours, rows, store=codec, compile=True)
    assert word(got[0][1]) is None  # a snapshot is plain
    monkeypatch.setattr("danlu.optim.state.paired", lambda state, p, rule: state)
    assert same(got, walk(name, theirs, rows, store=codec, compile=True))


@compiled
@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_a_kernel_of_words_gives_the_eager_numbers(codec):
    """Dividing, eager and compiled round a few last bits apart, which may turn a rounding to 8 bits over."""
    ours, theirs = start([(500,)], torch.float32), start([(500,)], torch.float32)
    rows = gradients(ours, 5)
    [(p, state)] = walk("adamw", ours, rows, store=codec, compile=True)
    [(q, other)] = walk("adamw", theirs, rows, store=codec)
    for x, y in ((state["exp_avg"], other["exp_avg"]), (state["exp_avg_sq"], other["exp_avg_sq"])):
        assert (x == y).float().mean() >= 0.98
    assert ((p - q).abs() <= 1e-6).float().mean() >= 0.98


@compiled
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    [plain] = start([(2, 3, 4, 5)], torch.float32)
    p = nn.Parameter(laid_out(layout, plain.detach()))
    rows = gradients([plain], 3)
    [(x, state)] = walk("adamw", [p], rows, store=CODECS[0], compile=True)
    [(y, other)] = walk("adamw", [plain], rows, store=CODECS[0])
    assert torch.allclose(x, y, rtol=1e-6, atol=1e-6)
    assert (state["exp_avg_sq"] == other["exp_avg_sq"]).float().mean() >= 0.98


@compiled
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 5, 1)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_shapes_and_dtypes(shape, dtype):
    ours, theirs = start([shape], dtype), start([shape], dtype)
    rows = gradients(ours, 3)
    [(x, _)], [(y, _)] = (walk("adamw", a, rows, store=BFloat16(), compile=on) for a, on in ((ours, True), (theirs, False)))
    torch.testing.assert_close(x, y, rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-4)


def test_a_snapshot_is_plain_and_saves_no_byte_twice():
    [p] = start([(64, 64)], torch.float32)
    optimizer = make("adamw", [p], store=CODECS[1])
    advance(optimizer, gradients([p], 2))
    saved = optimizer.state_dict()["state"][0]
    for key in ("exp_avg", "exp_avg_sq"):
        assert saved[key].is_contiguous()
        assert saved[key].untyped_storage().nbytes() == 2 * p.numel()
        assert torch.equal(saved[key], optimizer.state[p][key])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    assert file.tell() <= 4 * p.numel() + 4096


@compiled
@pytest.mark.parametrize("via", ["state_dict", "deepcopy", "pickle"])
def test_resuming_is_never_having_stopped(via):
    """Bit for bit, and in words again."""
    (p,), twins = start([(3, 11)], torch.float32), start([(3, 11)], torch.float32)
    rows = gradients(twins, 6)
    ours = make("adamw", {"w": p}.items(), store=BFloat16(), compile=True)
    advance(ours, rows[:3])
    if via == "state_dict":
        p = nn.Parameter(p.detach().clone())
        later = make("adamw", {"w": p}.items(), store=BFloat16(), compile=True)
        later.load_state_dict(ours.state_dict())
    else:
        later = copy.deepcopy(ours) if via == "deepcopy" else pickle.loads(pickle.dumps(ours))
        [p] = later.param_groups[0]["params"]
    advance(later, rows[3:])
    assert word(later.state[p]) is not None
    assert same(snapshot(later), walk("adamw", {"w": twins[0]}.items(), rows, store=BFloat16(), compile=True))


def test_a_slot_that_was_replaced_is_followed():
    """By hand, as some scripts do to move state."""
    (p,), (q,) = start([(4, 3)], torch.float32), start([(4, 3)], torch.float32)
    rows = gradients([p], 4)
    ours = make("adamw", [p], store=CODECS[0])
    advance(ours, rows[:2])
    ours.state[p]["exp_avg"] = ours.state[p]["exp_avg"].clone()
    advance(ours, rows[2:])
    assert same(snapshot(ours), walk("adamw", [q], rows, store=CODECS[0]))


def test_a_rule_that_gains_a_slot_pairs_it():
    [p] = start([(4, 3)], torch.float32)
    optimizer = make("rmsprop", [p], store=CODECS[0], momentum=0.0, centered=False)
    advance(optimizer, gradients([p], 1))
    kept = optimizer.state[p]["square_avg"].clone()
    optimizer.param_groups[0].update(momentum=0.9, lr=0.0)
    for q in (p,):
        q.grad = None
    optimizer.step()
    p.grad = torch.zeros_like(p)
    optimizer.step()
    a, b = halves(optimizer.state[p])
    assert words.word_of(a, b) is not None or words.word_of(b, a) is not None
    assert torch.allclose(optimizer.state[p]["square_avg"].float(), 0.99 * kept.float(), rtol=0.01)


@compiled
def test_infinities_and_nan_go_through():
    g = torch.tensor([float("inf"), float("nan"), -float("inf"), 1.0])
    for codec in CODECS:
        p, q = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
        [(_, a)], [(_, b)] = (walk("adamw", [x], [[g]], store=codec, compile=on) for x, on in ((p, True), (q, False)))
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(a[key].nan_to_num(7.0), b[key].nan_to_num(7.0))
            assert a[key].isnan().tolist() == [False, True, False, False]


def test_only_codecs_that_say_so_are_paired():
    assert optim.adamw().but(store=Dense(torch.float16)).codecs["exp_avg"].paired is False
    [p] = start([(6,)], torch.float32)
    optimizer = make("adamw", [p], store=Dense(torch.float16))
    advance(optimizer, gradients([p], 1))
    assert all(x.is_contiguous() for x in halves(optimizer.state[p]))
