"""A law cut at its reductions: which stages there are, what passes between them, and that they give the eager numbers."""

from functools import partial, partialmethod

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from danlu import optim
from danlu.optim import direction, modify, moment, store
from danlu.optim.rule import Rule
from danlu.optim.run import kernel, runner, staged, stages
from tests.laws.grid import seeded
from tests.laws.samples import host, infos, sample, settings
from tests.optim.stepping import PRESETS, advance, gradients, lanes, make, same, snapshot, start

RAGGED = [(7, 13), (130, 4), (3, 50), (1, 1), (1, 9), (9, 1), (0, 3), (5,), (1,), (), (2, 3, 4), (4, 3, 3, 3), (5, 1, 1, 1)]
compiler = pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")


# ---- the cut, on laws made by hand ------------------------------------------------------------------------------------------


def plain(p, g, h):
    p.copy_(p - g * h[0])


def two_norms(p, g, h):
    p.copy_(p - g * (p.norm() / (g.norm() + h[0])))


def one_after_the_other(p, g, h):
    u = g / (g.norm() + h[0])
    p.copy_(p - u / (u + p).norm())


def rows_and_columns(p, g, h):
    x = g * g
    row, column = x.mean(1), x.sum(0) / p.shape[0]
    p.copy_(p - g * h[0] / (row[:, None] * column / row.mean()).sqrt())


def late(p, g, h):
    u = g / (g.norm() + h[0])
    p.copy_(p - u * p.norm() / u.norm())


def traced(law):
    examples = torch.ones(200, 30), torch.ones(200, 30), torch.ones(1)
    return make_fx(law, tracing_mode="symbolic")(*examples)


def outputs(stage):
    [values] = stage.graph.graph.output_node().args
    return [[str(n) for n in node.meta["val"].shape] for node in values]


@pytest.mark.parametrize(
    ("law", "counts"),
    [
        (plain, [0]),
        (two_norms, [1, 0]),  # a pass for both norms; the ratio is made there
        (one_after_the_other, [1, 1, 0]),
        (rows_and_columns, [1, 3, 0]),  # rows, columns; row.mean() is made with the latter
        (late, [1, 2, 0]),  # ‖p‖ waits for ‖u‖
    ],
)
def test_stages_and_how_many_small_tensors_they_hand_on(law, counts):
    cut = stages.cut(traced(law))
    made = [len(outputs(stage)) for stage in cut]
    assert len(made) == len(counts)
    assert made[-1] == 0
    assert all(0 < n <= most for n, most in zip(made[:-1], counts, strict=False))
    assert all(len(shape) < 2 or "1" in shape for stage in cut for shape in outputs(stage))  # nothing of the size of p


@pytest.mark.parametrize("law", [plain, two_norms, one_after_the_other, rows_and_columns, late])
@pytest.mark.parametrize("shape", [(7, 3), (129, 5), (193, 4), (194, 4), (500, 300)])
def test_stages_give_the_law(law, shape):
    """Also at sizes that the law was not traced at."""
    source = torch.Generator().manual_seed(0)
    p, g = (torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(2))
    q, h = p.clone(), torch.full((1,), 0.3, dtype=torch.float64)
    law(p, g, h)
    values = [q, g, h]
    examples = [torch.ones(shape[0] + 130 * (shape[0] > 128), 30, dtype=torch.float64) for _ in range(2)]
    for stage in stages.cut(make_fx(law, tracing_mode="symbolic")(*examples, h)):
        values += stage.graph(*[values[i] for i in stage.reads])
    torch.testing.assert_close(q, p, rtol=1e-12, atol=1e-12)


def test_a_reduction_with_several_results_is_refused():
    def law(p, g, h):
        p.copy_(p - g * torch.var_mean(g)[0])

    with pytest.raises(NotImplementedError, match="several results"):
        stages.cut(traced(law))


# ---- every piece, without a compiler: the stages are run as they were cut ---------------------------------------------------


def called(graph, values):
    return graph(*values) or ()


@pytest.fixture
def interpreted(monkeypatch):
    """Stages for tensors of any size; not compiled, which would take a second each."""
    monkeypatch.setattr(staged, "_compiled", lambda cut, threads: [(x.reads, partial(called, x.graph)) for x in cut])
    monkeypatch.setattr(staged, "_BUILT", {})
    monkeypatch.setattr(runner, "compiler_for", lambda device: "none needed")
    for module in (runner, staged):
        monkeypatch.setattr(module, "PARALLEL_FROM", 1)


def walked(rule, compile, shapes=RAGGED, dtype=torch.float64):
    """The parameters and states after three steps, and how many tensors have a kernel."""
    params = start(shapes, dtype)
    optimizer = optim.Optimizer([(f"p{i}", p) for i, p in enumerate(params)], rule, lr=0.05, compile=compile)
    advance(optimizer, gradients(params, 3))
    return snapshot(optimizer), sum(lane.way is not None for lane in lanes(optimizer).values())


def agrees(rule):
    (ours, count), (theirs, none) = walked(rule, compile=True), walked(rule, compile=False)
    assert count >= 3  # the first three at least
    assert none == 0
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)


def seen(rule):
    return rule.scope == "tensor" and rule.sees != "shape"


HOSTS = {
    f"{info.axis}.{info.name}-{i}": host(info.axis, sample(info, **fields))
    for info in infos()
    if info.axis != "around"
    for i, fields in enumerate(settings(info))
}


@pytest.mark.parametrize("name", [name for name, rule in HOSTS.items() if seen(rule)])
def test_every_piece_sees_no_more_than_it_says(name, interpreted):
    agrees(HOSTS[name])


@pytest.mark.parametrize("name", [name for name in PRESETS if seen(optim.preset(name)())])
def test_every_preset_in_one_piece(name, interpreted, monkeypatch):
    """As a small tensor runs."""
    monkeypatch.setattr(runner, "PARALLEL_FROM", 1 << 30)
    agrees(optim.preset(name)())


@pytest.mark.parametrize("rule", [rule for rule in seeded(60, seed=4) if seen(rule) and rule.write is None][:5], ids=range(5))
def test_any_composition(rule, interpreted):
    agrees(rule)


def test_a_law_that_decides_by_size_has_a_kernel_for_each_side(interpreted):
    """The larger side is the column: it is another one in a tall matrix than in a wide one."""
    rule = optim.adamw().but(store={"exp_avg_sq": store.Factored("largest")})
    agrees(rule)
    assert len(staged._BUILT) == 2  # matrices, vectors
    assert 2 <= max(map(len, staged._BUILT.values())) <= 4


def test_a_law_that_decides_by_size_all_the_time_is_left_alone(monkeypatch, interpreted):
    """Rather than to compile without end: from the fifth kernel on."""
    monkeypatch.setattr(modify.RmsClip, "__call__", lambda self, u, c, h: u / (u.norm() + float(len(u)) + len(u)))
    rule = Rule(direction.Plain(), modify=(modify.RmsClip(),))
    shapes = [(n,) for n in range(2, 10)]
    (ours, count), (theirs, _) = (walked(rule, compile=on, shapes=shapes) for on in (True, False))
    assert count == 3  # one kernel is for the size at which a law is first traced
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_what_sees_the_shape_stays_eager(interpreted):
    _, count = walked(optim.lamb().but(store=store.Int8()), compile=True)
    assert count == 0


# ---- compiled: a handful of rules, with every walk among them ---------------------------------------------------------------

BOTH = [(300, 500), (7, 13), (1, 4), (6, 2, 3), (5,), (0, 3), ()]


def close(a, b):
    """Sums of up to 150,000 numbers in float32, in another order: 1e-6 of a norm, and so of a step."""
    for (p, state), (q, other) in zip(a, b, strict=True):
        assert state.keys() == other.keys()
        for x, y in ((p, q), *((state[key], other[key]) for key in state)):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=2e-6)


@compiler
@pytest.mark.parametrize("name", ["adafactor", "lamb", "sm3", "stable_adamw"])
def test_compiled(name):
    ours, theirs = start(BOTH, torch.float32), start(BOTH, torch.float32)
    rows = gradients(ours, 4)
    optimizer = make(name, ours, compile=True)
    advance(optimizer, rows)
    eager = make(name, theirs)
    advance(eager, rows)
    close(snapshot(optimizer), snapshot(eager))
    assert all(lanes(optimizer)[p].way is not None for p in ours[:2])


@compiler
def test_bfloat16_moments_share_words_in_stages():
    results = []
    for on in (True, False):
        params = start([(300, 130), (7, 13)], torch.float32)
        optimizer = make("lamb", params, compile=on, store=store.Dense(torch.bfloat16))
        advance(optimizer, gradients(params, 3))
        assert all((lane.way is not None) == on for lane in lanes(optimizer).values())
        results.append([p.detach() for p in params])
    for p, q in zip(*results, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)  # a moment may round the other way


@compiler
@pytest.mark.parametrize(("dtype", "places"), [(torch.float64, 1e-9), (torch.bfloat16, 2**-7)], ids=str)
def test_other_dtypes(dtype, places):
    params = [start([(300, 130)], dtype) for _ in range(2)]
    rows = gradients(params[0], 3)
    for p, on in zip(params, (True, False), strict=True):
        advance(make("lamb", p, compile=on), rows)
    [[p], [q]] = params
    torch.testing.assert_close(p.double(), q.double(), rtol=places, atol=1e-6)
    assert (p != q).float().mean() < 0.02 or dtype == torch.float64


@compiler
def test_a_kernel_in_stages_resumes_bit_for_bit_and_is_built_once():
    shapes = [(300, 500), (7, 13)]
    params, twins = start(shapes, torch.float32), start(shapes, torch.float32)
    rows = gradients(params, 6)
    ours, theirs = make("lamb", params, compile=True), make("lamb", twins, compile=True)
    advance(ours, rows[:3])
    built = {key: len(variants) for key, variants in staged._BUILT.items()}
    later = make("lamb", [nn.Parameter(p.detach().clone()) for p in params], compile=True)
    with pytest.warns(UserWarning, match="matched by position"):
        later.load_state_dict(ours.state_dict())
    advance(later, rows[3:])
    advance(theirs, rows)
    assert same(snapshot(later), snapshot(theirs))
    for i, row in enumerate(rows):
        theirs.param_groups[0].update(lr=0.1 / (i + 1), betas=(0.9 - 0.1 * i, 0.99), eps=1e-6 * (i + 1), weight_decay=0.1 * i)
        advance(theirs, [row])
    assert {key: len(variants) for key, variants in staged._BUILT.items()} == built


@compiler
def test_long_sums_keep_their_digits():
    """2¹⁹ numbers near 1 in float32: added up one after the other they lose four digits."""
    p = nn.Parameter(torch.ones(1024, 512))
    optimizer = optim.Optimizer([p], Rule(direction.Plain(), modify=(modify.Normalize(),)), lr=1.0, compile=True)
    p.grad = torch.full_like(p, 1.001)
    optimizer.step()
    torch.testing.assert_close(1.0 - p.detach(), torch.full_like(p, 2.0**-9.5), rtol=2e-6, atol=1e-7)


def test_what_a_rule_sees_is_the_most_that_a_piece_of_tensor_scope_does():
    """Element scope takes the flat kernel as before, whatever its shape."""
    assert optim.adamw().sees == "elements"
    assert Rule(direction.Plain(), {"m": moment.Ema(0.9)}, modify=(modify.TrustRatio(),)).sees == "rows"


@compiler
@pytest.mark.parametrize("name", ["dog", "prodigy"])
@pytest.mark.parametrize("shapes", [[(700, 600), (5,)], [(7, 13), (9,)]], ids=str)
def test_a_sum_over_all_tensors_is_found_by_kernels_too(name, shapes, monkeypatch):
    """They take the eager law's place: what it would be given is never made."""
    ours, theirs = start(shapes, torch.float32), start(shapes, torch.float32)
    plain = make(name, theirs, compile=False)
    advance(plain, gradients(theirs, 3))
    monkeypatch.setattr(Rule, "measure", partialmethod(_on_meta, Rule.measure))
    fast = make(name, ours, compile=True)
    advance(fast, gradients(ours, 3))
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def _on_meta(rule, measure, path, p, *rest):
    assert p.is_meta or torch.compiler.is_compiling() or type(p) is not torch.Tensor, "measured eagerly"
    return measure(rule, path, p, *rest)
