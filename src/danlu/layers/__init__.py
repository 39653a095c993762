"""Layers that training tricks are made of: dropped paths, norms, networks without norms, and how weights start."""

from danlu.layers.activations import ActivationReport, LayerActivity, activations
from danlu.layers.batch_norm import FrozenBatchNorm, batch_norms, freeze_batch_norm, recalibrate, recalibrate_in_one_pass
from danlu.layers.channel_norm import ChannelNorm
from danlu.layers.drop_path import DropPath, depth_rates, drop_path
from danlu.layers.gain import Gain
from danlu.layers.init import He, Orthogonal, Scheme, Xavier, fans, initialize, zero_last
from danlu.layers.layer_scale import LayerScale
from danlu.layers.lsuv import lsuv
from danlu.layers.residual import NormFreeResidual, residual_scales
from danlu.layers.rms_norm import RMSNorm
from danlu.layers.roster import LAYERS
from danlu.layers.standardized import (
    Activation,
    StandardizedConv2d,
    StandardizedLinear,
    activation_gain,
    standardize,
)
from danlu.layers.twins import standardized, without_norms

__all__ = [
    "LAYERS",
    "Activation",
    "ActivationReport",
    "ChannelNorm",
    "DropPath",
    "FrozenBatchNorm",
    "Gain",
    "He",
    "LayerActivity",
    "LayerScale",
    "NormFreeResidual",
    "Orthogonal",
    "RMSNorm",
    "Scheme",
    "StandardizedConv2d",
    "StandardizedLinear",
    "Xavier",
    "activation_gain",
    "activations",
    "batch_norms",
    "depth_rates",
    "drop_path",
    "fans",
    "freeze_batch_norm",
    "initialize",
    "lsuv",
    "recalibrate",
    "recalibrate_in_one_pass",
    "residual_scales",
    "standardize",
    "standardized",
    "without_norms",
    "zero_last",
]
