"""The workloads, and which of them no choice was ever made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from torch import nn

from benchmarks.tuning_free import models, other_models, problems
from benchmarks.tuning_free.problem import Problem
from danlu.layers import RMSNorm
from danlu.task.models.resnet import ResNet, bare_resnet
from danlu.task.models.vit import ViT

__all__ = ["CHOICE", "HELD_OUT", "OTHER_KINDS", "WORKLOADS", "Workload"]


@dataclass(frozen=True)
class Workload:
    """One thing to train.

    Args:
        name: short, unique.
        problem: makes the data, once per process.
        model: makes the model from torch's default generator.
        updates: the budget.
        normed: whether the network has normalisation layers.
    """

    name: str
    problem: Callable[[], Problem]
    model: Callable[[], nn.Module]
    updates: int
    normed: bool = False

    def data(self) -> Problem:
        """The problem; made once."""
        return _made(self.problem)


@cache
def _made(problem: Callable[[], Problem]) -> Problem:
    return problem()


HE, LECUN = 2**0.5, 1.0
_normed = partial(Workload, normed=True)

# Constants of presets may be chosen with these ...
CHOICE = (
    Workload("digits_mlp", problems.digits, partial(models.plain, (64, 64, 64, 10)), 500),
    Workload("digits_deep_mlp", problems.digits, partial(models.plain, (64, *[40] * 14, 10), gain=HE), 500),
    _normed("digits_cnn_bn", problems.digits, partial(models.conv_net, 8, nn.BatchNorm2d), 300),
    Workload("digits_resnet_nf", problems.digits, partial(bare_resnet, 8, 5), 300),
    _normed("digits_vit_ln", problems.digits, partial(ViT, 32, 2, 2), 300),
    Workload("digits_tail", problems.long_tail, partial(models.plain, (64, 96, 10)), 500),
    _normed("digits_noisy_ln", problems.noisy_labels, partial(models.plain, (64, 64, 64, 10), norm=nn.LayerNorm), 500),
    _normed(
        "chars_ln",
        partial(problems.windows, 32, 8, 32),
        lambda: models.Transformer(problems.symbols(), 32, 2, 2, nn.LayerNorm),
        300,
    ),
    Workload("chars_gru", partial(problems.windows, 24, 16, 24), lambda: models.Recurrent(problems.symbols(), 48), 300),
    Workload("cancer_mlp", partial(problems.columns, "breast_cancer", 32), partial(models.plain, (30, 32, 32, 2)), 150),
    Workload("diabetes_mlp", partial(problems.columns, "diabetes", 32), partial(models.plain, (10, 32, 32, 1)), 150),
    Workload("digits_few", problems.few, partial(models.plain, (64, 64, 64, 10), nn.GELU), 300),
    _normed("digits_tail_conv", problems.long_tail, partial(models.conv_net, 8, partial(nn.GroupNorm, 1)), 300),
    Workload("flower_coord", partial(problems.pixels, "flower", 512), partial(models.plain, (2, *[48] * 4, 3), nn.GELU), 500),
    Workload("photo_coord", partial(problems.pixels, "china", 512), partial(models.Fourier, 32, 6.0, (48, 48, 48, 3)), 500),
    Workload(
        "photo_denoise_nf", partial(problems.patches, "flower", 16, 8, problems.noise), partial(models.Restorer, 12, 3), 300
    ),
    Workload("photo_factors", problems.table_of_photograph, partial(models.Factors, (213, 320), 16), 500),
)
# ... and with these none is: they are looked at when everything else is settled.
HELD_OUT = (
    _normed("digits_resnet_bn", problems.digits, partial(ResNet, 8, 4), 300),
    Workload("digits_tanh_deep", problems.digits, partial(models.plain, (64, *[40] * 10, 10), nn.Tanh, gain=LECUN), 500),
    _normed("digits_mixer_rms_tail", problems.long_tail, partial(models.mixer, 24, 2, RMSNorm), 300),
    _normed(
        "chars_rms",
        partial(problems.windows, 48, 6, 48),
        lambda: models.Transformer(problems.symbols(), 36, 2, 3, RMSNorm),
        300,
    ),
    Workload("chars_ngram", partial(problems.windows, 8, 64, 1), lambda: models.NGram(problems.symbols(), 8, 16, 96), 500),
    Workload("wine_mlp", partial(problems.columns, "wine", 32), partial(models.plain, (13, 32, 32, 3), nn.GELU), 150),
    Workload(
        "elevation_coord", partial(problems.pixels, "elevation", 512), partial(models.plain, (2, *[48] * 5, 1), gain=HE), 500
    ),
    Workload(
        "photo_super_nf", partial(problems.patches, "china", 16, 8, problems.halve), partial(models.SuperResolver, 16), 400
    ),
    Workload("digits_table", problems.table_of_digits, partial(models.table, (400, 64), 24, 48), 500),
    Workload("digits_vae", problems.codes, partial(models.VAE, 64, 64, 8), 500),
)
# ... and these are of other kinds, made when everything was settled, to see where the presets fail. None was left out.
OTHER_KINDS = (
    Workload("chars_lstm", partial(problems.windows, 24, 16, 24), lambda: other_models.LSTM(problems.symbols(), 40), 400),
    _normed("chars_tied", partial(problems.windows, 32, 8, 32), lambda: other_models.Tied(problems.symbols(), 32), 300),
    _normed(
        "chars_post_ln", partial(problems.windows, 32, 8, 32), lambda: other_models.PostNorm(problems.symbols(), 32, 4), 300
    ),
    _normed("digits_depthwise_bn", problems.digits, other_models.depthwise, 300),
    Workload("digits_conv_autoencoder", problems.digits_again, other_models.conv_autoencoder, 500),
    Workload("digits_deep_autoencoder", problems.digits_again, other_models.deep_autoencoder, 500),
    Workload("digits_halves", problems.halves, other_models.Halves, 300),
    Workload("digits_experts", problems.digits, other_models.Experts, 300),
    Workload("digits_linear", problems.digits, partial(models.plain, (64, 10)), 300),
    Workload("digits_long", problems.digits, partial(models.plain, (64, 64, 64, 10)), 3000),
    _normed("digits_short_bn", problems.digits, partial(models.conv_net, 8, nn.BatchNorm2d), 60),
    Workload("digits_batch_4", partial(problems.digits, 4), partial(models.plain, (64, 64, 10)), 1500),
    Workload("digits_batch_1000", partial(problems.digits, 1000), partial(models.plain, (64, 64, 10)), 150),
    Workload("sums_mod_31", partial(problems.sums, 31), lambda: other_models.Sums(31, 32), 1000),
    Workload("diabetes_unscaled", problems.diabetes_unscaled, partial(models.plain, (10, 32, 1)), 300),
    Workload("cancer_unscaled", problems.cancer_unscaled, partial(models.plain, (30, 32, 2)), 300),
    Workload("prices_mlp", problems.prices, partial(models.plain, (20, 32, 1)), 200),
    Workload("waves_tanh", problems.waves, partial(models.plain, (1, 64, 64, 1), nn.Tanh), 600),
)
WORKLOADS = {workload.name: workload for workload in (*CHOICE, *HELD_OUT, *OTHER_KINDS)}
