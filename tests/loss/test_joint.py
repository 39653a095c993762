import pytest
import torch

from danlu.loss import LossSum, cross_entropy, joint, z_loss


def parts(sizes=(4, 10)):
    w = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    return w, {"error": LossSum(3 * w, sizes[0], {"far": (1, 4)}), "penalty": LossSum(w**2, sizes[1])}


def test_parts_are_weighed_and_counted_by_the_first():
    w, both = parts()
    found = joint(both, {"penalty": 0.5})
    found.mean.backward()
    assert (found.total.item(), found.count) == (3 * 2 + 0.5 * 4, 4)
    assert float(w.grad) == (3 + 0.5 * 2 * 2) / 4
    assert found.measures == {"error": (6.0, 4), "error/far": (1, 4), "penalty": (4.0, 10)}
    assert not found.measures["error"][0].requires_grad


def test_sums_of_joint_losses_are_joint():
    draw = torch.Generator().manual_seed(0)
    z, y = torch.randn(9, 5, generator=draw).double(), torch.randint(5, (9,), generator=draw)
    y[:4:2] = -100

    def both(z, y):
        return joint({"nll": cross_entropy(z, y), "z": z_loss(z, mask=y != -100)}, {"z": 1e-2})

    whole, cut = both(z, y), both(z[:3], y[:3]) + both(z[3:], y[3:])
    assert float(cut.mean) == pytest.approx(float(whole.mean), rel=1e-14)
    assert float(whole.mean) == pytest.approx(float(cross_entropy(z, y).mean + 1e-2 * z_loss(z[y >= 0]).mean), rel=1e-14)
    assert set(whole.measures) == {"nll", "nll/accuracy", "z"}


def test_what_is_no_part_is_refused():
    with pytest.raises(ValueError, match="there is no part"):
        joint({})
    with pytest.raises(ValueError, match="joint: 'nll' has parts of its own, with means over other items; put 'kl' into the"):
        joint({"nll": LossSum(torch.tensor(2.0), 1, parts={"kl": (torch.tensor(3.0), 1)})})
    with pytest.raises(TypeError, match="no option 'penalti'; did you mean 'penalty'"):
        joint(parts()[1], {"penalti": 1.0})
