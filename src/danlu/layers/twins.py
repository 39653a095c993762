"""The same model without its normalisation."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from danlu.layers.batch_norm import FrozenBatchNorm
from danlu.layers.rms_norm import RMSNorm
from danlu.layers.standardized import StandardizedConv2d, StandardizedLinear
from danlu.ranges import Positive, check, hints

__all__ = ["standardized", "without_norms"]

_NORMS = (_NormBase, FrozenBatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, RMSNorm)
Model = TypeVar("Model", bound=nn.Module)


def without_norms(model: Model) -> Model:
    """Return a copy of the model with the identity in the place of every normalisation: its bare twin, all else bit for bit.

    Batch, instance, group, layer and RMS norms of torch and of this package are known, and what inherits from them. Layers in
    front of a batch norm often have no bias, which is then nowhere. torch's encoder layers leave their fast path in evaluation.

    Args:
        model: is left alone; must not be a normalisation itself.

    Returns:
        The copy.

    Raises:
        ValueError: when there is no normalisation in it.
    """
    twin = copy.deepcopy(model)
    found = [name for name, module in twin.named_modules(remove_duplicate=False) if name and isinstance(module, _NORMS)]
    if not found:
        raise ValueError(f"without_norms: {type(model).__name__} has no normalisation below it")
    for name in found:
        twin.set_submodule(name, nn.Identity())
    return _part_by_part(twin)


def standardized(model: Model, gamma: Positive, keep: tuple[str, ...] = ()) -> Model:
    """Return a copy with standardised weights in all convolutions (2-d) and linear layers but those in `keep`.

    ``standardized(without_norms(model), activation_gain(torch.relu), keep=("0", "9"))`` is the norm-free twin of a plain
    network. The first layer sees data, not activations, and the last gives logits, whose scale the loss needs: keep both as
    they are, or set the first layer's ``gamma`` to 1. Weights and biases are taken over, with whatever shares them or has them
    frozen; their scale no longer matters. torch's encoder layers leave their fast path in evaluation.

    Args:
        model: is left alone; must not be such a layer itself.
        gamma: γ of the function in front of the layers, see `activation_gain`.
        keep: names of layers to leave as they are.

    Returns:
        The copy.

    Raises:
        ValueError: when γ is out of its range, or a name in `keep` is no layer of the model.
    """
    check("standardized", hints(standardized), {"gamma": gamma})
    twin = copy.deepcopy(model)
    named = dict(twin.named_modules(remove_duplicate=False))
    if unknown := [name for name in keep if name not in named]:
        raise ValueError(f"standardized: no layer {', '.join(map(repr, unknown))} to keep; see model.named_modules()")
    kept = {named[name] for name in keep}
    layers = {module: _standardized(module, gamma) for module in named.values() if module not in kept}  # two names stay one
    for name, module in named.items():
        if name and (layer := layers.get(module)) is not None:
            twin.set_submodule(name, layer)
    return _part_by_part(twin)


def _part_by_part(twin: Model) -> Model:
    """Keep torch's encoders from their fused kernels in evaluation, which read weights and norms past the layers put there."""
    for module in twin.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0  # torch's word for an activation that the kernels do not have
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
    return twin


def _standardized(module: nn.Module, gamma: float) -> nn.Module | None:
    if type(module) is nn.Linear:
        layer: nn.Module = StandardizedLinear(
            module.in_features, module.out_features, bias=module.bias is not None, gamma=gamma
        )
    elif type(module) is nn.Conv2d:
        layer = StandardizedConv2d(
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            stride=module.stride,
            padding=module.padding,
            dilation=module.dilation,
            groups=module.groups,
            bias=module.bias is not None,
            padding_mode=module.padding_mode,
            gamma=gamma,
        )
    else:
        return None
    layer.to(module.weight)
    layer.weight, layer.bias = module.weight, module.bias  # pyrefly: ignore[bad-argument-type]
    return layer.train(module.training)
