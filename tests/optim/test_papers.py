"""The oracles meet the golden trajectories and torch; the presets meet the oracles, for every option."""

import inspect
import math

import numpy as np
import pytest
import torch

from danlu import optim
from tests.golden.cases import CASES
from tests.golden.replay import descend, gap, load, tracks
from tests.optim.oracle_laws import check_options_move
from tests.papers import PAPERS, clip, decay
from tests.papers.option_sets import OPTION_SETS
from tests.papers.problem import PEAK, problem
from tests.papers.rmsprop import look_ahead_rmsprop
from tests.papers.sgd import look_ahead_sgd

TORCH = {
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
DECAYS = {
    "Constant": decay.constant,
    "Corrected": decay.corrected,
    "Decoupled": decay.decoupled,
    "Scheduled": decay.scheduled,
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]
EXACT = 1e-12


def fields(x):
    return "-".join(f"{k}={v}" for k, v in x.items()) or "defaults" if isinstance(x, dict) else None


def walk(name, p0, grads, lrs, **options):
    return {n: PAPERS[name](p0[n], grads[n], lrs, **options) for n in p0}


def walk_case(case, track):
    """The case's oracle; a decay of another form takes the place of the preset's own."""
    options = dict(case.options)
    if case.decay is not None:
        form, rate = case.decay
        options |= {"decay": DECAYS[form], "weight_decay": rate, "peak_lr": case.lr}
    without = {**options, "weight_decay": 0.0}
    return {
        n: PAPERS[case.preset](p, track.grads[n], case.lrs, **(without if n in case.without_decay else options))
        for n, p in track.p0.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_meets_golden(case):
    for track in tracks(case):
        assert track.distance(walk_case(case, track)) <= case.tolerance, track.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_golden_tolerance_is_far_below_the_effect(case):
    for track in tracks(case):
        still = {n: [p] * len(case.lrs) for n, p in track.p0.items()}
        assert track.distance(still) >= 1e3 * case.tolerance


def test_oracle_of_global_norm_clipping_meets_golden():
    for file, order, eps in [
        ("B_clip_global_norm_p1__torch.npz", 1, 1e-6),
        ("B_clip_global_norm_p2__torch.npz", 2, 1e-6),
        ("B_clip_global_norm_p3__torch.npz", 3, 1e-6),
        ("B_clip_global_norm_pinf__torch.npz", math.inf, 1e-6),
        ("B_clip_global_norm_p2__optax.npz", 2, 0.0),
    ]:
        for track, step, grads, want, arrays in clipped(file):
            got, norm = clip.by_global_norm(list(grads.values()), 2.0, order=order, eps=eps)
            assert gap(dict(zip(grads, got, strict=True)), want) <= EXACT, (file, track, step)
            if f"{track}__ret" in arrays:
                assert norm == pytest.approx(arrays[f"{track}__ret"][step], rel=EXACT)


@pytest.mark.parametrize("source", ["optax", "torch"])
def test_oracle_of_value_clipping_meets_golden(source):
    for track, step, grads, want, _ in clipped(f"B_clip_value__{source}.npz"):
        got = clip.by_value(list(grads.values()), 0.4)
        assert gap(dict(zip(grads, got, strict=True)), want) <= EXACT, (track, step)


def clipped(file):
    """Yield the gradients of each step before and after clipping, as rows of one element at least."""
    _, inputs = load("B__problem.npz")
    _, arrays = load(file)
    for track in sorted({key.split("__")[0] for key in arrays}):
        for step in range(30):
            grads = {n: np.atleast_1d(inputs[f"g_{track}_{n}"][step]) for n in "vmcs"}
            want = {n: np.atleast_1d(arrays[f"{track}__g_{n}"][step]) for n in "vmcs"}
            yield track, step, grads, want, arrays


@pytest.mark.parametrize(
    ("file", "oracle", "options"),
    [
        ("A_sgd_nesterov_lookahead_seed000__specref.npz", look_ahead_sgd, {}),
        ("A_sgd_nesterov_lr_inside__keras.npz", look_ahead_sgd, {}),
        ("A_rmsprop_nesterov_eps_in__optax.npz", look_ahead_rmsprop, {"alpha": 0.9, "eps": 1e-6}),
    ],
)
def test_look_ahead_oracles_meet_golden(file, oracle, options):
    (case,) = [case for case in CASES if case.file == file]
    for track in tracks(case):
        paths = {n: oracle(p, fixed(track.grads[n]), case.lrs, momentum=0.9, **options) for n, p in track.p0.items()}
        assert track.distance(paths) <= EXACT


def fixed(grads):
    return lambda k, y: grads[k]


def torch_has(name, options):
    return name in TORCH and options.keys() <= inspect.signature(TORCH[name]).parameters.keys()


@pytest.mark.parametrize(("name", "options"), [s for s in SETS if torch_has(*s)], ids=fields)
def test_oracle_meets_torch(name, options):
    p0, grads, lrs = problem(seed=1)
    paths = descend(lambda params: TORCH[name](params.values(), lr=PEAK, **options), p0, grads, lrs)
    tolerance = 2e-8 if name == "nadam" else EXACT  # torch keeps NAdam's product of mu in float32
    assert gap(walk(name, p0, grads, lrs, **options), paths) <= tolerance


@pytest.mark.parametrize(("name", "options"), [s for s in SETS if s[1]], ids=fields)
def test_every_option_moves_its_oracle(name, options):
    check_options_move(walk, name, options, least=1e3 * EXACT)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_option_sets_cover_the_preset(name):
    covered = {key for options in OPTION_SETS[name] for key in options}
    assert covered == optim.preset(name).options.keys()


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_defaults_are_the_papers(name):
    ours = {key: default for key, (_, default) in optim.preset(name).options.items()}
    p0, grads, lrs = problem(seed=3)
    assert gap(walk(name, p0, grads, lrs, **ours), walk(name, p0, grads, lrs)) == 0.0


@pytest.mark.parametrize(("name", "options"), SETS, ids=fields)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    paths = descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, walk(name, p0, grads, lrs, **options)) <= EXACT


@pytest.mark.parametrize(
    ("form", "peak"),
    [*((form, None) for form in DECAYS), ("Corrected", 0.2), ("Scheduled", 0.2)],
)
def test_decay_meets_its_oracle(form, peak):
    """The peak is the lr at construction unless the group says otherwise."""
    p0, grads, lrs = problem(seed=5)

    def make(params):
        optimizer = optim.create("adamw", params.values(), lr=PEAK, decay=getattr(optim.decay, form)(0.1))
        if peak is not None:
            optimizer.param_groups[0]["peak_lr"] = peak
        return optimizer

    want = walk("adamw", p0, grads, lrs, weight_decay=0.1, decay=DECAYS[form], peak_lr=peak or PEAK)
    assert gap(descend(make, p0, grads, lrs), want) <= EXACT


def test_radam_goes_on_decaying_where_its_authors_do_nothing():
    """A documented departure: below the threshold `unadapted=False` takes no step, yet a decoupled decay goes on."""
    p0, grads, lrs = problem(seed=8, steps=4)
    options = {"weight_decay": 0.1, "decoupled_weight_decay": True, "unadapted": False}
    shrunk = {n: list(p * np.cumprod(1 - 0.1 * lrs).reshape(-1, *[1] * p.ndim)) for n, p in p0.items()}
    authors = {n: [p] * len(lrs) for n, p in p0.items()}
    assert gap(walk("radam", p0, grads, lrs, **options), authors) == 0.0
    paths = descend(lambda params: optim.create("radam", params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, shrunk) <= EXACT
