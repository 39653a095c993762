"""GradNorm against the paper's equations by autograd, and against NumPy."""

import numpy as np
import pytest
import torch

from danlu.loss import GradNorm, LossSum
from tests.golden.replay import load

NAMES = ["a", "b", "c"]


def losses(w, x, y):
    """Mean squared error of each task's outputs tanh(x wᵀ), as sums."""
    out = torch.tanh(x @ w.T)
    return {name: LossSum((out - y[i]).square().sum() / w.shape[0], len(x)) for i, name in enumerate(NAMES)}


def walk(balance, w, steps, cuts, lr=0.01):
    """Train w by plain gradient descent; return the paths of weights and w."""
    path = []
    for x, y in steps:
        total = sum((balance(losses(w, x[i], y[:, i])) for i in np.split(np.arange(len(x)), cuts)), LossSum(torch.zeros(()), 0))
        (g,) = torch.autograd.grad(total.mean, w)
        with torch.no_grad():
            w -= lr * g
        balance.advance()
        path.append(([balance.weights[name] for name in NAMES], w.detach().clone()))
    return path


@pytest.mark.parametrize("alpha", ["0.0", "0.12", "1.5"])
@pytest.mark.parametrize("cuts", [[], [3, 4, 11]])
def test_golden_weights_in_one_batch_or_in_ragged_ones(alpha, cuts):
    _, gold = load("B_gradnorm_weights__paper_equations_autograd.npz")
    w = torch.tensor(gold["W0"], requires_grad=True)
    balance = GradNorm(NAMES, w, alpha=float(alpha), lr=0.025)
    steps = [(torch.as_tensor(gold["X"][t]), torch.as_tensor(gold["Y"][:, t])) for t in range(len(gold["X"]))]
    path = walk(balance, w, steps, cuts)
    np.testing.assert_allclose([weights for weights, _ in path], gold[f"a{alpha}_w"][1:], atol=1e-13)
    np.testing.assert_allclose(torch.stack([p for _, p in path]), gold[f"a{alpha}_W"][1:], atol=1e-13)
    assert np.abs(gold[f"a{alpha}_w"][-1] - 1).max() > 0.02  # the weights did move


def problem(**options):
    w = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    draw = np.random.default_rng(1)
    steps = [(torch.as_tensor(draw.normal(size=(6, 5))), torch.as_tensor(draw.normal(size=(3, 6, 4)))) for _ in range(6)]
    return GradNorm(NAMES, w, **options), w, steps


def test_a_resumed_walk_is_the_same_bit_for_bit():
    balance, w, steps = problem()
    whole = walk(balance, w, steps, [2])
    balance, w, steps = problem()
    walk(balance, w, steps[:3], [2])
    again = GradNorm(NAMES, w)
    again.load_state_dict(balance.state_dict())
    for (a, p), (b, q) in zip(walk(again, w, steps[3:], [2]), whole[3:], strict=True):
        assert a == b
        assert torch.equal(p, q)


def test_given_first_losses_are_those_of_the_rates():
    """With L(0) as the first window shows it, giving it changes nothing; another one moves the weights of the first update."""
    balance, w, steps = problem()
    first = {name: float(part.mean.detach()) for name, part in losses(w, *steps[0]).items()}
    ends = []
    for initial in (None, first, {**first, "b": 9 * first["b"]}):
        balance, w, steps = problem(initial=initial)
        ends.append(walk(balance, w, steps[:1], [])[0][0])
    assert ends[0] == ends[1]
    assert max(abs(a - b) for a, b in zip(ends[0], ends[2], strict=True)) > 1e-3


def test_evaluation_and_skipped_windows_leave_no_trace():
    balance, w, steps = problem()
    whole = walk(balance, w, steps, [])
    balance, w, steps = problem()
    path = []
    for step in steps:
        with torch.no_grad():
            balance(losses(w, 9 * step[0], step[1]))
        balance(losses(w, 9 * step[0], step[1]))
        balance.discard()
        balance.advance()  # nothing was noted
        path += walk(balance, w, [step], [])
    assert [a for a, _ in path] == [a for a, _ in whole]


def test_weights_stay_positive_and_sum_to_the_number_of_tasks():
    balance, w, steps = problem(lr=100.0)
    for weights, _ in walk(balance, w, steps, []):
        assert min(weights) > 0
        assert sum(weights) == pytest.approx(3, rel=1e-14)


def test_measures_tell_parts_and_weights():
    balance, w, steps = problem()
    balance.load_state_dict({"weights": {"a": 0.5, "b": 1.0, "c": 1.5}, "initial": None})
    found = balance(losses(w, *steps[0]))
    assert set(found.measures) == {"a", "b", "c", "weight/a", "weight/b", "weight/c"}
    total, count = found.measures["weight/c"]
    assert total / count == 1.5


W = torch.ones(3, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: GradNorm(["a"], W), ValueError, "two names or more"),
        (lambda: GradNorm(["a", "a"], W), ValueError, "each once"),
        (lambda: GradNorm(["a", "b"], []), ValueError, "0 shared parameters"),
        (lambda: GradNorm(["a", "b"], W, lr=0.0), ValueError, "GradNorm: lr must be in"),
        (lambda: GradNorm(["a", "b"], W, initial={"a": 1.0, "b": 0.0}), ValueError, "initial of 'b' must be above 0, got 0.0"),
        (lambda: GradNorm(["a", "b"], W, initial={"a": 1.0}), ValueError, "initial of 'b' must be above 0, got None"),
        (lambda: GradNorm(["a", "b"], W, initial={"aa": 1.0}), TypeError, "no option 'aa'"),
        (lambda: GradNorm(["a", "b"], W)({"a": LossSum(W.sum(), 1)}), ValueError, "the parts are a, b; got a"),
        (
            lambda: GradNorm(["a", "b"], W)(
                {"a": LossSum(W.sum(), 1), "b": LossSum(torch.ones((), requires_grad=True) * 1, 1)}
            ),
            ValueError,
            "part 'b' does not depend on all of shared",
        ),
        (
            lambda: GradNorm(["a", "b"], W).load_state_dict({"weights": {"a": 1, "c": 1}, "initial": None}),
            ValueError,
            "parts a, c",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_window_that_is_not_finite_moves_nothing():
    balance = GradNorm(["a", "b"], W)
    balance({"a": LossSum(W.sum() * torch.nan, 1), "b": LossSum(W.sum(), 1)})
    with pytest.raises(ValueError, match="not finite; call discard"):
        balance.advance()
    assert balance.state_dict() == {"weights": {"a": 1.0, "b": 1.0}, "initial": None}
