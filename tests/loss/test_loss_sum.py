import pytest
import torch

from danlu.loss import LossSum, as_loss_sum


def test_sums_add_and_divide_once():
    one = LossSum(torch.tensor(3.0, dtype=torch.float64), 2, {"hits": (1, 2)})
    two = LossSum(torch.tensor(4.0, dtype=torch.float64), torch.tensor(5), {"hits": (3, 5), "far": (0.5, 1)})
    both = one + two
    assert (float(both.total), int(both.count)) == (7.0, 7)
    assert both.measures == {"hits": (4, 7), "far": (0.5, 1)}
    assert float(both.mean) == 1.0
    assert float((two + one).mean) == 1.0


def test_the_sum_of_nothing_has_no_mean():
    assert torch.isnan(LossSum(torch.tensor(0.0), 0).mean)


def test_detach_cuts_every_graph():
    w = torch.ones((), requires_grad=True)
    cut = LossSum(2 * w, 3 * w, {"far": (w * w, 1)}).detach()
    assert not any(x.requires_grad for x in (cut.total, cut.count, cut.measures["far"][0]))
    assert (float(cut.total), float(cut.count)) == (2.0, 3.0)


def test_gradient_flows_through_the_sum_and_the_mean():
    w = torch.tensor(2.0, requires_grad=True)
    (LossSum(w * w, 1) + LossSum(3 * w, 3)).mean.backward()
    assert float(w.grad) == (4 + 3) / 4


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LossSum(1.0, 1), TypeError, "total must be a tensor"),
        (lambda: LossSum(torch.ones(3), 3), ValueError, r"total must be one number, got shape \[3\]; use .sum"),
        (lambda: LossSum(torch.ones(()), torch.ones(3)), ValueError, r"count must be one number, got shape \[3\]"),
        (lambda: LossSum(torch.ones(()), 1, {"hits": 3}), TypeError, r"measure 'hits' must be a pair \(sum, count\)"),
    ],
)
def test_what_is_no_sum_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_as_loss_sum_reads_the_two_forms():
    given = LossSum(torch.tensor(1.0), 2)
    assert as_loss_sum(given) is given
    read = as_loss_sum((torch.tensor(1.0), 4))
    assert (float(read.total), read.count) == (1.0, 4)


def test_a_bare_mean_is_taken_only_alone():
    assert as_loss_sum(torch.tensor(2.5), alone=True).count == 1
    with pytest.raises(TypeError) as raised:
        as_loss_sum(torch.tensor(2.5))
    message = str(raised.value)
    assert "\n" not in message
    assert "return (sum over the items, their number)" in message


@pytest.mark.parametrize("value", [None, 1.5, (1, 2, 3), {"loss": 1}])
def test_other_things_are_refused_by_name(value):
    with pytest.raises(TypeError, match=f"the loss function returned {type(value).__name__}; return"):
        as_loss_sum(value, alone=True)
