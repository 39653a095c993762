"""Adam-mini and Amos: oracles meet golden data, presets meet both; the store keeps what it says."""

import pytest
import torch

from danlu import optim
from danlu.optim.store import BlockMean
from tests.golden.cases_blocks import CASES
from tests.golden.replay import descend, gap, tracks
from tests.papers import blocks as papers
from tests.papers.adam import adamw
from tests.papers.problem import problem

EXACT = 1e-12
SETS = [
    ("adam_mini", {}),
    ("adam_mini", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "blocks": "tensor"}),
    ("adam_mini", {"blocks": "element"}),
    ("adam_mini", {"rows": 2}),
    ("adam_mini", {"rows": 3}),
    ("amos", {}),
    ("amos", {"beta": 0.9, "momentum": 0.8, "eta": 0.3, "extra_l2": 0.01, "blocks": "row"}),
]


def walk(name, p0, grads, lrs, own=None, **options):
    def make(params):
        groups = [{"params": [p], **(own(n) if own else {})} for n, p in params.items()]
        return optim.create(name, groups, lr=lrs[0], **options)

    return descend(make, p0, grads, lrs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_and_preset_meet_golden(case):
    for track in tracks(case):
        oracle = getattr(papers, case.preset)
        assert (
            track.distance({n: oracle(p, track.grads[n], case.lrs, **case.of(n)) for n, p in track.p0.items()})
            <= case.tolerance
        )
        assert track.distance(walk(case.preset, track.p0, track.grads, case.lrs, case.of)) <= case.tolerance
        assert track.distance({n: [p] * len(case.lrs) for n, p in track.p0.items()}) >= 1e3 * case.tolerance


@pytest.mark.parametrize(("name", "options"), SETS, ids=str)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    want = {n: getattr(papers, name)(p0[n], grads[n], lrs, **options) for n in p0}
    assert gap(walk(name, p0, grads, lrs, **options), want) <= EXACT


def test_one_element_per_block_is_adamw():
    p0, grads, lrs = problem(seed=5)
    column = {n: p.reshape(-1, 1) for n, p in p0.items()}
    rows = {n: g.reshape(len(lrs), -1, 1) for n, g in grads.items()}
    want = {n: adamw(column[n], rows[n], lrs, weight_decay=0.1) for n in p0}
    assert gap(walk("adam_mini", column, rows, lrs, weight_decay=0.1), want) <= EXACT


@pytest.mark.parametrize(
    ("codec", "shape"),
    [(BlockMean(), (5, 1, 1)), (BlockMean("tensor"), (1, 1, 1)), (BlockMean(rows=2), (3,)), (BlockMean(rows=9), (1,))],
)
def test_the_state_is_a_number_per_block(codec, shape):
    x = torch.rand(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = codec.encode(x, {})
    assert parts[""].shape == shape
    assert torch.allclose(codec.decode(parts, x), torch.tensor(papers.block_mean(x.numpy(), codec.blocks, codec.rows)))
    again = codec.encode(codec.decode(parts, x), {})
    assert torch.allclose(again[""], parts[""], rtol=1e-15)


def test_amos_needs_no_block_store_and_slows_down():
    """The direction takes the mean itself; step and decay fall with time under gradients that do not."""
    p0, grads, lrs = problem(seed=6)
    dense = walk("amos", p0, grads, lrs, store=optim.store.Dense())
    assert gap(dense, walk("amos", p0, grads, lrs)) <= EXACT
    p = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = optim.Amos([p], lr=0.5)
    lengths = []
    for _ in range(40):
        before = p.detach().clone()
        p.grad = torch.ones_like(p)
        optimizer.step()
        lengths.append((p.detach() - before).norm().item())
    assert lengths[-1] < 0.2 * lengths[0]


def test_amos_stands_still_at_lr_zero_and_without_gradients():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.Amos([p], lr=0.0, extra_l2=0.1)
    p.grad = torch.ones(3)
    optimizer.step()
    optimizer.param_groups[0]["extra_l2"] = 0.0
    optimizer.param_groups[0]["lr"] = 0.1
    p.grad = torch.zeros(3)
    fresh = torch.nn.Parameter(torch.ones(3))
    other = optim.Amos([fresh], lr=0.1)
    fresh.grad = torch.zeros(3)
    other.step()
    assert p.tolist() == fresh.tolist() == [1.0, 1.0, 1.0]
