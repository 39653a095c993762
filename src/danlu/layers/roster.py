"""The layers and helpers by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from danlu.layers.activations import activations
from danlu.layers.batch_norm import FrozenBatchNorm, freeze_batch_norm, recalibrate, recalibrate_in_one_pass
from danlu.layers.channel_norm import ChannelNorm
from danlu.layers.drop_path import DropPath, depth_rates
from danlu.layers.gain import Gain
from danlu.layers.init import He, Orthogonal, Xavier, initialize, zero_last
from danlu.layers.layer_scale import LayerScale
from danlu.layers.lsuv import lsuv
from danlu.layers.residual import NormFreeResidual, residual_scales
from danlu.layers.rms_norm import RMSNorm
from danlu.layers.standardized import StandardizedConv2d, StandardizedLinear, activation_gain, standardize
from danlu.layers.twins import standardized, without_norms
from danlu.registry import Registry

__all__ = ["LAYERS"]

LAYERS: Registry[Callable[..., Any]] = Registry("layer")
"""The table of layers, ways to initialise, and helpers; classes in snake case."""

for _thing in (
    ChannelNorm,
    DropPath,
    FrozenBatchNorm,
    Gain,
    He,
    LayerScale,
    NormFreeResidual,
    Orthogonal,
    RMSNorm,
    StandardizedConv2d,
    StandardizedLinear,
    Xavier,
    activation_gain,
    activations,
    depth_rates,
    freeze_batch_norm,
    initialize,
    lsuv,
    recalibrate,
    recalibrate_in_one_pass,
    residual_scales,
    standardize,
    standardized,
    without_norms,
    zero_last,
):
    LAYERS.add(re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", _thing.__name__).lower(), _thing)
