"""Laws that hold for every loss of the registry."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danlu.loss import LOSSES, SmoothAll, SmoothOthers, SoftMedian, TrimmedMean, WinsorizedMean, cross_entropy, focal
from danlu.train import OverWindow

from .samples import CLASSES, SAMPLES, ranked

ADDITIVE = [name for name in LOSSES if not LOSSES.get(name).coupled]
COUPLED = [name for name in LOSSES if LOSSES.get(name).coupled]


def data(n, seed=0, masked=0.3, dtype=torch.float64):
    """x with nan where nothing is, targets with -100 there, and the mask; the first item is always there."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(n, 3, generator=draw) >= masked
    mask[:1] = masked < 1
    x = 2 * torch.randn(n, 3, CLASSES, generator=draw, dtype=torch.float64)
    y = torch.randint(CLASSES, (n, 3), generator=draw)
    return torch.where(mask[..., None], x, torch.nan).to(dtype), torch.where(mask, y, -100), mask


def evaluated(sample, batch):
    """The sum, and its gradient."""
    x = batch[0].clone().requires_grad_()
    found = sample((x, *batch[1:]))
    return found.detach(), torch.autograd.grad(found.total, x)[0]


def joined(sample, batch, sizes):
    """The sums of micro-batches, and the gradient of their sum."""
    found, gradients = zip(
        *(evaluated(sample, part) for part in zip(*(t.split(sizes) for t in batch), strict=True)), strict=True
    )
    return sum(found[1:], found[0]), torch.cat(gradients)


def test_every_loss_has_a_sample():
    assert list(LOSSES) == sorted(SAMPLES)
    assert set(COUPLED) == {name for name, sample in SAMPLES.items() if sample.law is not None}


def test_every_entry_names_its_source_and_its_law():
    for name in LOSSES:
        found = LOSSES.get(name)
        assert found.source
        assert len(found.summary) > 20
        assert ("COUPLES" in found.thing.__doc__) == found.coupled
    assert [name for name in LOSSES if LOSSES.get(name).unverified] == ["grad_tail"]
    assert [name for name in LOSSES if LOSSES.get(name).stateful] == ["grad_norm", "grad_tail"]


@pytest.mark.parametrize("name", ADDITIVE)
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5), masked=st.sampled_from([0, 0.4, 1])
)
def test_sums_of_ragged_micro_batches_are_those_of_the_batch(name, seed, sizes, masked):
    batch = data(sum(sizes), seed, masked)
    whole, gradient = evaluated(SAMPLES[name], batch)
    parts, gradients = joined(SAMPLES[name], batch, sizes)
    assert float(parts.total) == pytest.approx(float(whole.total), rel=1e-12, abs=1e-12)
    assert float(parts.count) == pytest.approx(float(whole.count), rel=1e-12)
    assert {k: pytest.approx(tuple(map(float, v))) for k, v in whole.measures.items()} == {
        k: tuple(map(float, v)) for k, v in parts.measures.items()
    }
    torch.testing.assert_close(gradients, gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ADDITIVE)
def test_a_mean_of_means_is_something_else(name):
    """What the law above can see: on these cuts the mean of the micro-batches' means is off by more than 1e-3."""
    batch = data(7, 3)
    whole, _ = evaluated(SAMPLES[name], batch)
    means = [float(evaluated(SAMPLES[name], part)[0].mean) for part in zip(*(t.split([1, 6]) for t in batch), strict=True)]
    assert abs(sum(means) / 2 - float(whole.mean)) > 1e-3


@pytest.mark.parametrize("name", COUPLED)
def test_coupled_losses_do_not_add_up_except_over_the_window(name):
    sample, batch, sizes = SAMPLES[name], data(12, 1), [2, 0, 7, 3]
    whole, gradient = evaluated(sample, batch)
    parts, _ = joined(sample, batch, sizes)
    assert int(parts.count) == int(whole.count)
    assert abs(float(parts.mean) - float(whole.mean)) > 1e-3
    robust = OverWindow(sample.law)
    over = ranked(robust)
    window = list(zip(*(t.split(sizes) for t in batch), strict=True))
    with robust.ranking(torch.nn.Identity(), lambda model, part: over(part), window):
        total, gradients = joined(over, batch, sizes)
    assert float(total.mean) == pytest.approx(float(whole.mean), rel=1e-12)
    torch.testing.assert_close(gradients, gradient, rtol=1e-12, atol=1e-14)


# GradTail's weights depend on x and are constants to autograd: differences would see them move
@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"grad_tail"}))
def test_gradients_are_those_of_finite_differences(name):
    x, y, mask = data(4, 2, masked=0.2)
    x = torch.where(mask[..., None], x, 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: SAMPLES[name]((x, y, mask)).total, x)


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_there_is_0_with_gradient_0(name):
    for n in (0, 3):
        found, gradient = evaluated(SAMPLES[name], data(n, masked=1.0))
        assert (float(found.total), float(found.count)) == (0.0, 0.0)
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"grad_norm"}))  # whose shared parameter is float64
def test_half_precision_is_summed_in_float32(name):
    batch = data(400, 7, dtype=torch.bfloat16)
    found, _ = evaluated(SAMPLES[name], batch)
    exact, _ = evaluated(SAMPLES[name], (batch[0].double(), *batch[1:]))
    assert found.total.dtype == torch.float32
    assert float(found.mean) == pytest.approx(float(exact.mean), rel=3e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_order_of_the_items_does_not_matter(name):
    batch = data(9, 4)
    found, gradient = evaluated(SAMPLES[name], batch)
    order = torch.randperm(9)
    again, permuted = evaluated(SAMPLES[name], tuple(t[order] for t in batch))
    assert float(again.total) == pytest.approx(float(found.total), rel=1e-12)
    torch.testing.assert_close(permuted, gradient[order], rtol=1e-12, atol=1e-14)


# GradNorm asks autograd for gradients in its forward pass, which no single graph holds
@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"grad_norm"}))
def test_compiled_it_is_one_graph_with_the_same_numbers(name):
    torch.compiler.reset()
    sample = SAMPLES[name]
    x, y, mask = data(6, 3)
    whole, gradient = evaluated(sample, (x, y, mask))
    compiled = torch.compile(lambda x: sample((x, y, mask)).total, fullgraph=True, backend="eager")
    x = x.requires_grad_()
    total = compiled(x)
    assert float(total.detach()) == pytest.approx(float(whole.total), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(total, x)[0], gradient, rtol=1e-12, atol=1e-14)


MADE = {
    "all": lambda z, y, number: cross_entropy(z, y, smoothing=SmoothAll(number)),
    "others": lambda z, y, number: cross_entropy(z, y, smoothing=SmoothOthers(number)),
    "soft_median": lambda z, y, number: cross_entropy(z, y, reduce=SoftMedian(number)),
    "trimmed": lambda z, y, number: cross_entropy(z, y, reduce=TrimmedMean(0.0, number)),
    "winsorized": lambda z, y, number: cross_entropy(z, y, reduce=WinsorizedMean(number, number)),
    "focal": lambda z, y, number: focal(z, y, gamma=number),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_in_a_compiled_function_is_checked_and_counts(name):
    torch.compiler.reset()
    x, y, _ = data(8, 3, masked=0.0)
    loss = MADE[name]
    compiled = torch.compile(lambda number: loss(x, y, number).total, fullgraph=True, backend="eager")
    for number in (0.1, 0.2, 0.3):
        assert float(compiled(number)) == pytest.approx(float(loss(x, y, number).total), rel=1e-12)
    with pytest.raises(ValueError, match="must be in"):
        torch.compile(lambda: loss(x, y, -0.5).total, backend="eager")()
