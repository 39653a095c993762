"""A compiled kernel gives the eager numbers for every layout, and nothing that changes between steps builds another."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch._dynamo.utils
from torch import nn

from danlu import optim
from danlu.optim.run import kernel
from tests.optim.stepping import LAYOUTS, advance, gradients, laid_out, make, same, snapshot, start

COMPILED = ["adamw", "lion", "sgd"]
pytestmark = pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")


def close(a, b):
    """Eager and compiled order a few roundings differently: 4 units of float32 per step, a thousandth of a step."""
    for (p, state), (q, other) in zip(a, b, strict=True):
        assert state.keys() == other.keys()
        for x, y in ((p, q), *((state[key], other[key]) for key in state)):
            torch.testing.assert_close(x, y, rtol=4e-6, atol=1e-6)


def walk(name, params, rows, **options):
    optimizer = make(name, params, **options)
    advance(optimizer, rows)
    return snapshot(optimizer)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_parameter", LAYOUTS)
def test_layouts(name, of_parameter, of_gradient):
    [plain] = start([(2, 3, 4, 5)], torch.float32)
    p = nn.Parameter(laid_out(of_parameter, plain.detach()))
    rows = gradients([plain], 3)
    ours = walk(name, [p], [[laid_out(of_gradient, g) for g in row] for row in rows], compile=True)
    close(ours, walk(name, [plain], rows))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (1, 5, 1), (33_000,)], ids=str)
def test_shapes(shape):
    """The last one is long enough for the threaded kernel."""
    ours, theirs = start([shape], torch.float32), start([shape], torch.float32)
    rows = gradients(ours, 3)
    close(walk("adamw", ours, rows, compile=True), walk("adamw", theirs, rows))


def test_an_expanded_gradient():
    [row] = gradients(start([(3,)], torch.float32), 1)
    results = [walk("adamw", start([(4, 3)], torch.float32), [[row[0].expand(4, 3)]] * 2, compile=on) for on in (True, False)]
    close(*results)


def test_complex_numbers_are_pairs():
    z = [nn.Parameter(torch.ones(3, 2, dtype=torch.complex64)) for _ in range(2)]
    rows = gradients(z[:1], 3)
    close(walk("adamw", z[:1], rows, compile=True), walk("adamw", z[1:], rows))


def test_conjugated_and_negated_views_of_gradients_are_resolved():
    z = [nn.Parameter(torch.ones(4, dtype=torch.complex64)) for _ in range(2)]
    [[g]] = gradients(z[:1], 1)
    close(walk("adamw", z[:1], [[g.conj()]], compile=True), walk("adamw", z[1:], [[g.conj()]]))
    p, q = start([(4,)], torch.float32), start([(4,)], torch.float32)
    close(walk("adamw", p, [[torch._neg_view(g.real.clone())]], compile=True), walk("adamw", q, [[-g.real]]))


def test_bfloat16_agrees_to_one_rounding_of_the_parameter():
    """The state is float32 and agrees as such; the parameter may round to the neighbour."""
    params = [start([(500,)], torch.bfloat16) for _ in range(2)]
    rows = gradients(params[0], 3)
    [(p, state)], [(q, other)] = (walk("adamw", x, rows, compile=on) for x, on in zip(params, (True, False), strict=True))
    torch.testing.assert_close(p.float(), q.float(), rtol=2**-7, atol=1e-6)
    assert (p != q).float().mean() < 0.02
    torch.testing.assert_close(state["exp_avg_sq"], other["exp_avg_sq"], rtol=4e-6, atol=1e-8)


def test_a_gradient_wider_than_its_parameter_is_not_read_as_narrow():
    results = []
    for on in (True, False):
        p = nn.Parameter(torch.zeros(4, dtype=torch.bfloat16))
        p.grad_dtype = torch.float32
        results.append(walk("adamw", [p], [[torch.tensor([1.001, -1.003, 0.5, 2.007])]], compile=on))
    close(*results)


def test_swapped_storage_is_followed():
    """Also storage that begins at the same address: a kernel must not write beyond a parameter that was shortened."""
    params, twins = start([(5,)], torch.float32), start([(5,)], torch.float32)
    rows = gradients(params, 4)
    optimizer = make("adamw", params, compile=True)
    advance(optimizer, rows[:2])
    params[0].data = params[0].data.clone()
    advance(optimizer, rows[2:])
    close(snapshot(optimizer), walk("adamw", twins, rows))
    params[0].data = params[0].data[:3]
    params[0].grad = None
    params[0].grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="size"):
        optimizer.step()


def test_a_new_layout_between_steps_is_followed():
    """As `model.to(memory_format=…)` makes it: the state stays in the old one."""
    params, twins = start([(2, 3, 4, 5)], torch.float32), start([(2, 3, 4, 5)], torch.float32)
    rows = gradients(params, 4)
    optimizer = make("adamw", params, compile=True)
    advance(optimizer, rows[:2])
    params[0].data = laid_out("channels_last", params[0].data)
    advance(optimizer, rows[2:])
    close(snapshot(optimizer), walk("adamw", twins, rows))


def test_changing_numbers_build_no_second_kernel():
    params = start([(7,)], torch.float32)
    optimizer = make("adamw", params, compile=True)
    rows = gradients(params, 12)
    advance(optimizer, rows[:1])
    built, frames = len(kernel._BUILT), dict(torch._dynamo.utils.counters["frames"])
    unique = dict(torch._dynamo.utils.counters["stats"])
    [group] = optimizer.param_groups
    for i, row in enumerate(rows):
        group["lr"] = 0.01 / (i + 1)
        group["betas"] = (0.9 - 0.05 * i, 0.999 - 0.01 * i)
        group["eps"], group["weight_decay"] = 1e-8 * (i + 1), 0.1 * i
        advance(optimizer, [row])
    other = make("adamw", start([(11, 3)], torch.float32), lr=0.3, weight_decay=0.5, compile=True)
    advance(other, gradients(start([(11, 3)], torch.float32), 2))
    assert len(kernel._BUILT) == built
    assert dict(torch._dynamo.utils.counters["frames"]) == frames
    assert dict(torch._dynamo.utils.counters["stats"]) == unique


def test_the_counter_of_kernels_counts(monkeypatch):
    monkeypatch.setattr(kernel, "_BUILT", {})
    for name, shapes in (("lion", [(3,)]), ("lion", [(2, 2)]), ("sgd", [(3,)])):
        params = start(shapes, torch.float32)
        advance(make(name, params, compile=True), gradients(params, 2))
    assert len(kernel._BUILT) == 2


def test_clipping_enters_a_kernel_as_a_number():
    clip = optim.grad.ClipNorm(0.5)
    ours, theirs = start([(4, 3), (5,)], torch.float32), start([(4, 3), (5,)], torch.float32)
    rows = gradients(ours, 3)
    close(walk("adamw", ours, rows, grad=clip, compile=True), walk("adamw", theirs, rows, grad=clip))


def test_a_kernel_resumes_bit_for_bit():
    params, twins = start([(9,)], torch.float32), start([(9,)], torch.float32)
    rows = gradients(params, 6)
    ours, theirs = make("adamw", params, compile=True), make("adamw", twins, compile=True)
    advance(ours, rows[:3])
    later = make("adamw", [nn.Parameter(params[0].detach().clone())], compile=True)
    with pytest.warns(UserWarning, match="matched by position"):
        later.load_state_dict(ours.state_dict())
    advance(later, rows[3:])
    advance(theirs, rows)
    assert same(snapshot(later), snapshot(theirs))


def test_asking_for_a_kernel_without_a_compiler_is_an_error():
    p = nn.Parameter(torch.empty(3, device="meta"))
    optimizer = make("adamw", [p], compile=True)
    p.grad = torch.empty(3, device="meta")
    with pytest.raises(RuntimeError, match="compile=True: no compiler for meta"):
        optimizer.step()


def test_kernels_are_built_by_one_thread_at_a_time(monkeypatch):
    """Tracers patch what all threads see: two at once failed, or left an optimizer to run eagerly."""
    building, most = [], []

    def build(*arguments):
        building.append(arguments)
        most.append(len(building))
        time.sleep(0.05)
        building.pop()
        return arguments

    monkeypatch.setattr(kernel, "_BUILT", {})
    monkeypatch.setattr(kernel, "_build", build)
    p = torch.ones(8)
    with ThreadPoolExecutor(3) as pool:
        for rule in (optim.sgd(), optim.lion(), optim.sgd(), optim.signum()):
            pool.submit(kernel.built, rule, p, [], parallel=False)
    assert most == [1, 1, 1]
