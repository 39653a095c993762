"""Every preset walks the trajectories of independent implementations."""

import math

import numpy as np
import pytest

from danlu import optim
from tests.golden.cases import CASES, STEPS
from tests.golden.replay import descend, gap, load, tracks


def make(case, params):
    """The case's optimizer; the tensors `without_decay` stand in a group of their own."""
    own = [p for name, p in params.items() if name in case.without_decay]
    groups = [{"params": [p for name, p in params.items() if name not in case.without_decay]}]
    if own:
        groups.append({"params": own, "weight_decay": 0.0})
    options = dict(case.options)
    if case.decay is not None:
        form, rate = case.decay
        options["decay"] = getattr(optim.decay, form)(rate)
    return optim.create(case.preset, groups, lr=case.lr, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_preset_meets_golden(case):
    for track in tracks(case):
        paths = descend(lambda params: make(case, params), track.p0, track.grads, case.lrs)
        assert track.distance(paths) <= case.tolerance, track.name


@pytest.mark.parametrize(
    ("file", "clip"),
    [
        ("B_clip_global_norm_p1__torch.npz", optim.grad.ClipNorm(2.0, order=1.0, eps=1e-6)),
        ("B_clip_global_norm_p2__torch.npz", optim.grad.ClipNorm(2.0, eps=1e-6)),
        ("B_clip_global_norm_p3__torch.npz", optim.grad.ClipNorm(2.0, order=3.0, eps=1e-6)),
        ("B_clip_global_norm_pinf__torch.npz", optim.grad.ClipNorm(2.0, order=math.inf, eps=1e-6)),
        ("B_clip_global_norm_p2__optax.npz", optim.grad.ClipNorm(2.0)),
        ("B_clip_value__optax.npz", optim.grad.ClipValue(0.4)),
        ("B_clip_value__torch.npz", optim.grad.ClipValue(0.4)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_clipping_meets_golden(file, clip):
    """SGD from zero at lr 1 walks minus the sum of the clipped gradients."""
    _, inputs = load("B__problem.npz")
    _, arrays = load(file)
    for track in sorted({key.split("__")[0] for key in arrays}):
        grads = {n: inputs[f"g_{track}_{n}"] for n in "vmcs"}
        want = {n: -np.cumsum(arrays[f"{track}__g_{n}"], axis=0) for n in "vmcs"}
        zeros = {n: np.zeros_like(g[0]) for n, g in grads.items()}
        paths = descend(lambda params: optim.create("sgd", params.values(), lr=1.0, grad=clip), zeros, grads, [1.0] * STEPS)
        assert gap(paths, want) <= 1e-12, track
