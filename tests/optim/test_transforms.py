"""Gradient transforms against golden data and their oracles, tensor by tensor and over all tensors."""

import math

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim import direction, grad, modify
from tests.golden.cases_variants import TRANSFORMS
from tests.golden.replay import descend, distance, gap, load
from tests.papers import together, transforms

EXACT = 1e-12
PIECES = {
    "agc": grad.AdaptiveClip,
    "block_rms": lambda bound: grad.ClipBlockRms(bound),
    "centralize": grad.Centralize,
    "normalize": grad.Normalize,
    "soft_clip": grad.SoftClip,
    "tensor_norm": lambda bound, **options: grad.ClipTensorNorm(bound, **options),
    "trust_ratio": modify.TrustRatio,
}
OPTIONS = [
    ("agc", {}),
    ("agc", {"ratio": 0.5, "floor": 0.3}),
    ("block_rms", {"bound": 0.5}),
    ("centralize", {}),
    ("centralize", {"conv_only": True}),
    ("normalize", {}),
    ("normalize", {"per": "unit", "eps": 0.1}),
    ("normalize", {"by": "std"}),
    ("normalize", {"by": "std", "per": "unit"}),
    ("soft_clip", {}),
    ("soft_clip", {"ratio": 0.3, "floor": 0.5, "vectors": True}),
    ("tensor_norm", {"bound": 0.5}),
    ("tensor_norm", {"bound": 0.5, "order": 1.0}),
    ("tensor_norm", {"bound": 0.5, "order": math.inf, "eps": 0.1}),
    ("trust_ratio", {}),
    ("trust_ratio", {"coefficient": 0.1, "weight_decay": 0.1, "eps": 0.1}),
    ("trust_ratio", {"bounds": (0.5, 1.0), "ceiling": 0.2, "adapt_vectors": True}),
]
SHAPES = ((), (5,), (4, 3), (1, 4), (4, 1), (5, 1, 1, 1), (4, 3, 2), (3, 2, 2, 2))


def apply(piece, g, p):
    """What SGD at lr 1 takes away from p."""
    rule = optim.Rule(direction.Plain()).but(**{piece.axis: piece})
    x = torch.nn.Parameter(torch.tensor(p))
    x.grad = torch.tensor(g)
    optim.Optimizer([x], rule, lr=1.0).step()
    return p - x.detach().numpy()


def label(x):
    return "-".join(f"{k}={v}" for k, v in x.items()) or "defaults" if isinstance(x, dict) else None


@pytest.mark.parametrize("file", TRANSFORMS)
def test_oracle_and_piece_meet_golden(file):
    name, options = TRANSFORMS[file]
    _, inputs = load("B__problem.npz")
    _, arrays = load(file)
    for key, want in arrays.items():
        track, tensor = key.split("__g_")
        p = np.asarray(inputs[f"p0_{tensor}"])
        for k, g in enumerate(inputs[f"g_{track}_{tensor}"]):
            oracle = getattr(transforms, name)(np.asarray(g), p, **options)
            assert distance(oracle, want[k]) <= EXACT, (key, k)
            if k % 6 == 5:
                assert distance(apply(PIECES[name](**options), np.asarray(g), p), want[k]) <= EXACT, (key, k)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=label)
@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_piece_meets_its_oracle(name, options, size):
    rng = np.random.default_rng(6)
    for shape in SHAPES:
        p, g = np.asarray(rng.normal(size=shape)), np.asarray(size * rng.normal(size=shape))
        assert distance(apply(PIECES[name](**options), g, p), getattr(transforms, name)(g, p, **options)) <= EXACT, shape


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=label)
def test_an_empty_tensor_passes(name, options):
    for shape in ((0,), (0, 3), (3, 0)):
        assert apply(PIECES[name](**options), np.zeros(shape), np.zeros(shape)).shape == shape


@pytest.mark.parametrize("name", ["agc", "soft_clip"])
def test_zero_weights_are_not_frozen(name):
    p, g = np.zeros((3, 4)), np.ones((3, 4))
    assert np.abs(apply(PIECES[name](), g, p)).min() >= 1e-6


def stored(file, names=("plain", "hard")):
    """Yield the gradients of each track and what became of them."""
    _, inputs = load("B__problem.npz")
    _, arrays = load(file)
    for track in names:
        if f"{track}__g_v" in arrays:
            grads = {n: inputs[f"g_{track}_{n}"] for n in "vmcs"}
            yield track, grads, {n: arrays[f"{track}__g_{n}"] for n in "vmcs"}, arrays


def transformed(piece, grads):
    """What each step of SGD from zero at lr 1 takes away."""
    zeros = {n: np.zeros_like(g[0]) for n, g in grads.items()}
    steps = len(next(iter(grads.values())))
    paths = descend(lambda params: optim.create("sgd", params.values(), lr=1.0, grad=piece), zeros, grads, [1.0] * steps)
    return {n: -np.diff(np.array([zeros[n], *paths[n]]), axis=0) for n in paths}


@pytest.mark.parametrize(
    ("file", "piece", "oracle"),
    [
        ("B_gradient_normalization_global__optax.npz", grad.NormalizeAll(1e-6), lambda g: together.normalize_all(g, 1e-6)),
        ("B_autoclip__official_formula.npz", grad.AutoClip(), lambda g: together.auto_clip(g)[0]),
        *(
            (
                f"B_zclip_{word}__official.npz",
                grad.ZClip(warmup=6, max_norm=None, to=to),
                lambda g, to=to: together.z_clip(g, warmup=6, to=to)[0],
            )
            for word, to in [("adaptive", "adaptive"), ("mean", "mean"), ("percentile", "edge")]
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_transform_of_all_tensors_meets_golden(file, piece, oracle):
    for track, grads, want, _ in stored(file):
        assert gap(oracle(grads), want) <= EXACT, track
        assert gap(transformed(piece, grads), want) <= 1e-11, track  # the hard track walks to 1e4: differences lose four digits


def test_oracle_of_spike_statistics_meets_golden():
    for track, grads, _, arrays in stored("B_zclip_adaptive__official.npz"):
        _, means, variances = together.z_clip(grads, warmup=6)
        for got, key in ((means, "mean"), (variances, "var")):
            known = np.isfinite(arrays[f"{track}__{key}"])
            assert distance(np.array(got)[known], arrays[f"{track}__{key}"][known]) <= EXACT


@pytest.mark.parametrize(
    ("piece", "oracle"),
    [
        (grad.NormalizeAll(0.3), lambda g: together.normalize_all(g, 0.3)),
        (grad.AutoClip(40.0, history=7, eps=0.0), lambda g: together.auto_clip(g, 40.0, 7, 0.0)[0]),
        *(
            (
                grad.ZClip(0.8, 0.6, warmup=4, max_norm=3.0, to=to, eps=0.1),
                lambda g, to=to: together.z_clip(g, 0.8, 0.6, 4, 3.0, to, 0.1)[0],
            )
            for to in ("adaptive", "edge", "mean")
        ),
    ],
    ids=lambda x: type(x).__name__,
)
def test_transform_of_all_tensors_meets_its_oracle(piece, oracle):
    rng = np.random.default_rng(7)
    sizes = 10.0 ** rng.uniform(-1, 1, size=25)
    grads = {"w": sizes[:, None, None] * rng.normal(size=(25, 3, 2)), "b": sizes[:, None] * rng.normal(size=(25, 4))}
    assert gap(transformed(piece, grads), oracle(grads)) <= EXACT


@pytest.mark.parametrize("piece", [grad.ZClip(warmup=3), grad.AutoClip(50.0)], ids=lambda x: type(x).__name__)
def test_what_is_remembered_resumes(piece):
    """A saved optimizer clips on as if it had never stopped, and a step that is not finite leaves no trace."""

    def fresh():
        p = torch.nn.Parameter(torch.zeros(3))
        return p, optim.create("sgd", [("p", p)], lr=1.0, grad=piece)

    def walk(p, optimizer, seeds):
        for seed in seeds:
            p.grad = torch.randn(3, generator=torch.Generator().manual_seed(seed)) * (10.0 if seed == 7 else 1.0)
            optimizer.step()

    p, optimizer = fresh()
    walk(p, optimizer, range(6))
    saved, at = optimizer.state_dict(), p.detach().clone()
    p.grad = torch.full_like(p, math.nan)
    with pytest.warns(UserWarning, match="not finite"):
        optimizer.step()
    walk(p, optimizer, range(6, 10))
    q, other = fresh()
    other.load_state_dict(saved)
    q.data.copy_(at)
    walk(q, other, range(6, 10))
    assert torch.equal(p, q)
