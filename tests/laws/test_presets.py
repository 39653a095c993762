"""Laws that every registered preset obeys."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim.run import kernel
from tests.laws.samples import TOLERANCE, WALKS, bases, others, step, trace

NAMES = optim.presets()
OPTIONS = [pytest.param(name, option, id=f"{name}.{option}") for name in NAMES for option in optim.preset(name).options]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_moves_the_trace(name, option):
    assert any(apart > 100 * TOLERANCE for walk in WALKS for apart in distances(name, option, walk))


def distances(name, option, walk):
    """How far each other value of an option leads."""
    preset = optim.preset(name)
    hint, default = preset.options[option]
    for base in bases(preset.options):
        for x in others(hint, default):
            try:
                before, after = trace(name, **walk, **base), trace(name, **walk, **{**base, option: x})
            except ValueError:  # an option that needs another one
                continue
            yield np.abs(after - before).max()


@pytest.mark.parametrize("name", [name for name in NAMES if "weight_decay" in optim.preset(name).options])
def test_weight_decay_zero_is_no_decay(name):
    rule = optim.preset(name)(weight_decay=0.0)
    assert np.array_equal(trace(rule), trace(rule.but(decay=None)))


@pytest.mark.parametrize("name", NAMES)
def test_compiled_equals_eager(name):
    """To float32 rounding: the kernel rounds its numbers to float32 and contracts multiply-adds."""
    eager, compiled = (trace(name, compile=c, dtype=torch.float32) for c in (False, True))
    assert np.abs(compiled - eager).max() < max(2e-6, 5e-7 * np.abs(eager).max())  # CAME walks as far as 14


def test_compiled_equals_eager_in_float64():
    assert np.abs(trace("adamw", compile=True) - trace("adamw", compile=False)).max() < TOLERANCE


def test_numbers_never_build_a_kernel():
    trace("adamw", compile=True, dtype=torch.float32)
    before = set(kernel._BUILT)
    trace("adamw", compile=True, dtype=torch.float32, betas=(0.5, 0.6), eps=1e-3, weight_decay=0.3, steps=20)
    assert set(kernel._BUILT) == before


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_parameters_are_computed_in_float32(name):
    """A bf16 parameter follows the float32 trace to its own rounding, however small the gradients' squares."""
    p32 = torch.nn.Parameter(torch.linspace(-1, 1, 64))
    p16 = torch.nn.Parameter(p32.detach().bfloat16())
    p32.data.copy_(p16)
    ours = [optim.create(name, [p], lr=0.5) for p in (p32, p16)]
    for p, optimizer in zip((p32, p16), ours, strict=True):
        p.grad = torch.full_like(p16, 1e-12).to(p.dtype)
        step(optimizer)
    assert torch.equal(p32.detach().bfloat16(), p16.detach())


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_explains_itself(name):
    text = optim.explain(name)
    for option in ("lr", *optim.preset(name).options):
        assert f"{option} " in text
    assert "bytes per float32 parameter" in text
    assert optim.preset(name).source in text
