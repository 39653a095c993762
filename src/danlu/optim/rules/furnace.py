"""Furnace: one setting for everything, and its lean form."""

from __future__ import annotations

import torch

from danlu.optim import average, decay, direction, modify, moment, rate, store
from danlu.optim.direction.eigenbasis import Side
from danlu.optim.drop_in import DropIn
from danlu.optim.piece import Codec, Decay, Modify
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, Count, NonNegative, Positive, Steps

__all__ = ["Furnace", "FurnaceLean", "furnace", "furnace_lean"]

_NARROW = store.Dense(torch.bfloat16)  # to nearest is right here: every memory is short, 1 − β > 2⁻⁸
_ELEMENT_WISE = Rule(direction.Atan2(), {"exp_avg": moment.Ema(0.9), "exp_avg_sq": moment.Ema(0.99, moment.square)})
_UNTURNED = {role: {"matrix": False} for role in ("embedding", "head", "vector", "scalar")}


@preset(lr=1.0, source="docs/furnace.md", routes=_UNTURNED, buffers="average")
def furnace(
    weight_decay: NonNegative = 0.05,
    betas: tuple[Beta, Beta] = (0.9, 0.99),
    floor: Positive = 0.01,
    decay_to: Steps = 0,
    *,
    every: Count = 10,
    side: Side = 128,
    int8: bool = False,
    matrix: bool = True,
) -> Rule:
    """p ← p − 3s·λ·1[u·p ≥ 0]⊙p − s·u/√fan_in, s = 0.055·lr, u = Adam-atan2 in the gradient's eigenbases; evaluated at a mean.

    For runs without a learning rate, warm-up, schedule, clip or horizon: lr is a multiplier, to be left at 1 and constant, and
    evaluation happens inside ``with optimizer.averaged():``, at the mean of all p with weights like t⁵. Who knows the number of
    updates T of the run may give ``decay_to=T``: then s is 0.077·lr·(1 − (t − 1)/T), and p itself is evaluated.

    Made from a module, embeddings, head and vectors are turned into no basis (``matrix=False``): they are stepped by
    p ← (1 − s·λ)·p − s·max(RMS(p), floor)·u with plain atan2-Adam. From plain parameters, shapes decide, and embeddings and
    head count as matrices. State in bfloat16: 10 bytes per parameter of a square matrix, 6 elsewhere; with ``int8`` the two
    moments take a byte each, and the whole 8 and 4.
    """
    rule = Rule(direction.Eigenbasis(betas, every=every, side=side)) if matrix else _ELEMENT_WISE
    bytes_each = {slot: store.Int8(root=slot in rule.magnitudes, min_size=4096) for slot in rule.slots if slot != "bases"}
    stores = bytes_each if int8 else {}
    if not matrix:
        return _anytime(rule, modify.ParameterScale(floor), decay.Decoupled(weight_decay), 0.055, decay_to, **stores)
    return _anytime(rule, modify.FanScale(floor), decay.Cautious(3.0 * weight_decay), 0.055, decay_to, **stores)


@preset(lr=1.0, source="docs/furnace.md", routes=_UNTURNED, buffers="average")
def furnace_lean(
    weight_decay: NonNegative = 0.05,
    betas: tuple[Beta, Beta] = (0.9, 0.99),
    floor: Positive = 0.01,
    decay_to: Steps = 0,
    *,
    matrix: bool = True,
) -> Rule:
    """p ← (1 − s·λ)·p − s·u/√fan_in, s = 0.11·lr, u = orthogonalised momentum times its share of signal; at a mean.

    As `furnace`, with Muon's direction of RMS 1 times ‖m̂‖/√EMA(‖g‖²) for matrices and convolutions, the memories of m and of
    ‖g‖² being `betas`, and a factored second moment for embeddings, head and vectors. From plain parameters, every tensor is a
    matrix to it. State in bfloat16: 4 bytes per parameter.
    """
    decayed = decay.Decoupled(weight_decay)
    if not matrix:
        return _anytime(_ELEMENT_WISE, modify.ParameterScale(floor), decayed, 0.055, decay_to, exp_avg_sq=store.Factored())
    muon = direction.Orthogonal("unit_rms")
    rule = Rule(muon, {"exp_avg": moment.Ema(betas[0])}, modify=(modify.NoiseScale(betas[1]),))
    # Twice the step, for the share of signal is about a half.
    return _anytime(rule, modify.FanScale(floor), decayed, 0.11, decay_to, noise_scale=store.Dense())


def _anytime(rule: Rule, scale: Modify, decayed: Decay, step: float, decay_to: int, **stores: Codec) -> Rule:
    """The rule with a step in the unit of the weights, a mean or a horizon, and narrow state."""
    found = rule.but(
        modify=(*rule.modify, scale),
        decay=decayed,
        rate=(rate.Calibrated(1.4 * step if decay_to else step), rate.LinearDecay(decay_to)),
        average=None if decay_to else average.Offset(average.Polynomial(5.0)),
    )
    rounded = {"offset": store.BFloat16(min_size=4096)}  # rounded to nearest, what rests would stay where it is
    return found.but(store={**dict.fromkeys(found.slots, _NARROW), **({} if decay_to else rounded), **stores})


class Furnace(DropIn, preset=furnace):
    """One setting for everything: ``Furnace(model)``."""


class FurnaceLean(DropIn, preset=furnace_lean):
    """One setting for everything in four bytes per parameter: ``FurnaceLean(model)``."""
