"""The raw tier gives the captured tier's bits for every preset, and stays away from whatever it does not understand."""

import pytest
import torch

from danlu import optim
from danlu.optim import store
from danlu.optim.run import kernel, raw
from tests.optim.stepping import COMPILED, GRADIENTS, OPTIONS, advance, gradients, lanes, make, same, snapshot, start

SHAPES = [(), (1,), (15,), (17, 3)]
LONG = (40_000,)  # enough for the threaded kernel
ELEMENTWISE = [name for name in GRADIENTS if optim.preset(name)(**OPTIONS.get(name, {})).scope == "element"]
pytestmark = pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")


def raw_and_captured(name, shapes, monkeypatch, **options):
    """What three steps leave in either tier, and the optimizer of the raw one."""
    results = []
    for tier in ("captured", "raw"):
        monkeypatch.setenv("DANLU_ENGINE", tier)
        params = start(shapes, torch.float32)
        optimizer = make(name, params, compile=True, **options)
        advance(optimizer, gradients(params, 3))
        results.append(snapshot(optimizer))
    return results, optimizer


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_raw_equals_captured_bit_for_bit(name, monkeypatch):
    results, optimizer = raw_and_captured(name, [*SHAPES, LONG] if name in COMPILED else SHAPES, monkeypatch)
    assert same(*results)
    assert all(lane.way is not None and lane.way.raw is not None for lane in lanes(optimizer).values())


@pytest.mark.parametrize("codec", [store.Dense(torch.bfloat16), store.BFloat16()], ids=["nearest", "stochastic"])
@pytest.mark.parametrize(("name", "shapes"), [("adamw", [*SHAPES, LONG]), ("adan", SHAPES)], ids=["adamw", "adan"])
def test_slots_that_share_words_are_raw_too(name, shapes, codec, monkeypatch):
    results, optimizer = raw_and_captured(name, shapes, monkeypatch, store=codec)
    assert same(*results)
    for lane in lanes(optimizer).values():
        assert lane.way.raw is not None
        assert [plane.dtype for plane in lane.way.planes] == [torch.int32] * (len(lane.keys) // 2)


def test_columns_and_rows_in_one_group(monkeypatch):
    """Eight bits: small tensors stay dense and step as columns, large ones have a kernel in rows."""
    results, optimizer = raw_and_captured("adamw_8bit", [(5,), (70, 70), (17, 3), (5000,)], monkeypatch)
    assert same(*results)
    assert [lane.way.raw is not None for lane in lanes(optimizer).values()] == [True, False, True, False]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_parameter_replaced_in_its_group_is_the_one_that_steps(name):
    """In the group's own list, with the state handed on."""
    params = start([(4, 5), (4, 6)], torch.float32)
    optimizer = make(name, params, compile=name == "adamw")
    rows = gradients(params, 2)
    advance(optimizer, rows[:1])
    old, new = params[0], torch.nn.Parameter(params[0].detach().clone())
    optimizer.param_groups[0]["params"][0] = new
    optimizer.state[new] = optimizer.state.pop(old)
    kept, new.grad, old.grad = old.detach().clone(), rows[1][0], None
    optimizer.step()
    assert torch.equal(old, kept)
    assert not torch.equal(new, kept)


def module(text):
    """What inductor generates, by hand: an entry, and a call that unpacks its list."""
    scope = {"torch": torch}
    exec(text, scope)
    return scope["call"]


def inputs(n):
    draw = torch.Generator().manual_seed(n)
    return [torch.rand(n, generator=draw), n, torch.rand(n, generator=draw)]


ENTRY = """
def cpp_fused_descend_0(g, p, n):
    p[:n] -= g[:n]
"""
CALL = """
def call(args):
    p, n, g = args
    args.clear()
    cpp_fused_descend_0(g, p, n)
    return ()
"""
NORM = """
def cpp_fused_norm_0(g, out, n):
    out.copy_(g[:n].sum())
def call(args):
    p, n, g = args
    out = torch.empty(())
    cpp_fused_norm_0(g, out, n)
    return (out,)
"""


def test_arguments_are_found_by_their_memory():
    call = module(ENTRY + CALL)
    entry = raw.entry_of(call, inputs)
    assert entry == (call.__globals__["cpp_fused_descend_0"], (2, 0, 1))


def test_outputs_are_found_too():
    assert raw.entry_of(module(NORM), inputs).origins == (2, 3, 1)


SURPRISES = {
    "two entries": ENTRY + CALL + "cpp_fused_other_1 = cpp_fused_descend_0",
    "no entry": (ENTRY + CALL).replace("cpp_fused", "cpp"),
    "two calls": ENTRY + CALL.replace("    return", "    cpp_fused_descend_0(g, p, n)\n    return"),
    "an argument of unknown memory": ENTRY + CALL.replace("(g, p", "(g.clone(), p"),
    "an unknown number": ENTRY.replace("n):", "n, k):") + CALL.replace("p, n)", "p, n, 7)"),
    "work beside the entry": ENTRY + CALL.replace("    return", "    p.add_(1)\n    return"),
    "another law for some lengths": ENTRY + CALL.replace("    return", "    p[15:16].add_(1)\n    return"),
    "an output that is no tensor": ENTRY + CALL.replace("return ()", "return (None,)"),
    "an error": ENTRY + CALL.replace("    return ()", "    raise RuntimeError"),
}


@pytest.mark.parametrize("surprise", SURPRISES)
def test_a_surprise_leaves_the_captured_call(surprise):
    call = module(SURPRISES[surprise])
    before = dict(call.__globals__)
    assert raw.entry_of(call, inputs) is None
    assert call.__globals__ == before


def test_something_that_is_no_function_is_left_alone():
    assert raw.entry_of(torch.nn.Identity(), inputs) is None


def test_long_tensors_go_in_chunks(monkeypatch):
    """Seven of ten elements and the rest: the same bits as at once."""
    results = []
    for chunk in (1 << 30, 7):
        monkeypatch.setattr(kernel, "CHUNK", chunk)
        params = start([(10,), (7,), (2, 3, 4, 5)], torch.float32)
        optimizer = make("adamw", params, compile=True)
        advance(optimizer, gradients(params, 3))
        results.append(snapshot(optimizer))
    assert same(*results)


def test_an_unknown_tier_is_named(monkeypatch):
    monkeypatch.setenv("DANLU_ENGINE", "eagre")
    with pytest.raises(ValueError, match="DANLU_ENGINE=eagre: no such tier; did you mean 'eager'"):
        make("adamw", start([(3,)])).step()


def test_the_eager_tier_builds_nothing(monkeypatch):
    monkeypatch.setenv("DANLU_ENGINE", "eager")
    monkeypatch.setattr(kernel, "_BUILT", {})
    params = start([(3,)], torch.float32)
    advance(make("adamw", params, compile=True), gradients(params, 1))
    assert not kernel._BUILT


def walked(compile, change):
    """Six steps of three tensors, with something done to the optimizer after the third."""
    params = start([(5,), (3, 4), (40_000,)], torch.float32)
    optimizer = make("adamw", params, compile=compile)
    rows = gradients(params, 6)
    for i, row in enumerate(rows):
        if i == 3:
            change(optimizer, params)
        advance(optimizer, [row])
    return snapshot(optimizer)


def moved(optimizer, params):
    params[0].data = params[0].data.clone()


def replaced_state(optimizer, params):
    optimizer.state[params[1]] = {
        key: torch.as_tensor(x).clone() * 0.5 if key != "step" else x for key, x in optimizer.state[params[1]].items()
    }


def replaced_slot(optimizer, params):
    optimizer.state[params[2]]["exp_avg"] = torch.ones(40_000)


def another_step(optimizer, params):
    optimizer.state[params[0]]["step"] = 40


def other_options(optimizer, params):
    optimizer.param_groups[0].update(betas=(0.5, 0.7), weight_decay=0.3)


def forgotten(optimizer, params):
    del optimizer.state[params[1]]


def reordered(optimizer, params):
    optimizer.state[params[0]] = optimizer.state.pop(params[0])


def accompanied(optimizer, params):
    optimizer.state[torch.zeros(2)] = {"note": 1}


CHANGES = [moved, replaced_state, replaced_slot, another_step, other_options, forgotten, reordered, accompanied]


@pytest.mark.parametrize("change", CHANGES)
def test_columns_follow_what_is_changed_between_steps(change):
    for (p, state), (q, other) in zip(walked(True, change), walked(False, change), strict=True):
        torch.testing.assert_close(p, q, rtol=4e-6, atol=1e-6)
        assert state["step"] == other["step"]
        torch.testing.assert_close(state["exp_avg"], other["exp_avg"], rtol=4e-6, atol=1e-6)


def test_gradients_that_come_and_go():
    results = []
    for on in (True, False):
        params = start([(5,), (3, 4), (6,)], torch.float32)
        optimizer = make("adamw", params, compile=on)
        rows = gradients(params, 6)
        for i, row in enumerate(rows):
            advance(optimizer, [[g if (i >> k) % 2 == 0 else None for k, g in enumerate(row)]])
        results.append(snapshot(optimizer))
    for (p, state), (q, other) in zip(*results, strict=True):
        torch.testing.assert_close(p, q, rtol=4e-6, atol=1e-6)
        assert state["step"] == other["step"]
    assert len({int(state["step"]) for _, state in results[0]}) > 1


def test_one_gradient_for_two_parameters():
    params, twins = start([(5,), (5,)], torch.float32), start([(5,), (5,)], torch.float32)
    g = gradients(params, 1)[0][0]
    for p, q in zip(
        advance(make("adamw", params, compile=True), [[g, g]] * 3), advance(make("adamw", twins), [[g, g]] * 3), strict=True
    ):
        torch.testing.assert_close(p, q, rtol=4e-6, atol=1e-6)
