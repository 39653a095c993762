"""How weights start: schemes for one weight, a walk over a model, and residual branches that start at nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

from danlu.keyed import generator
from danlu.ranges import AnyNumber, Positive, check, hints

__all__ = ["He", "Orthogonal", "Scheme", "Xavier", "fans", "initialize", "zero_last"]


class Scheme(Protocol):
    """Draws one weight."""

    def __call__(self, weight: Tensor, draws: torch.Generator) -> None:
        """Overwrite `weight`, shape (O, I, …)."""
        ...


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in I/groups·Π kernel, which an output sums over, and fan-out O·Π kernel, of a weight (O, I/groups, *kernel)."""
    outputs, inputs, *kernel = weight.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


@final
@dataclass(frozen=True)
class Xavier:
    """W ~ U(−√3·s, √3·s), s = gain·√(2/(fan-in + fan-out)): keeps the variance half-way between forward and backward.

    For odd functions of slope 1 at 0: identity, tanh (Glorot & Bengio 2010, AISTATS).
    """

    gain: Positive = 1.0

    def __post_init__(self) -> None:
        check("Xavier", hints(Xavier), {"gain": self.gain})

    def __call__(self, weight: Tensor, draws: torch.Generator) -> None:
        """Overwrite `weight`."""
        bound = self.gain * math.sqrt(6.0 / sum(fans(weight)))
        nn.init.uniform_(weight, -bound, bound, generator=draws)


@final
@dataclass(frozen=True)
class He:
    """W ~ N(0, 2/((1 + slope²)·fan-in)): keeps the mean square of activations behind a (leaky) ReLU.

    He et al. 2015, arXiv:1502.01852. `slope` is that of the negative side: 0 for ReLU, 1 for a linear layer (LeCun's scheme).
    torch's own default for linear and convolution layers is U(±1/√fan-in), whose variance is a sixth of He's: behind 20 ReLU
    layers signals are smaller by 6¹⁰, and biases are all that is left.
    """

    slope: AnyNumber = 0.0

    def __post_init__(self) -> None:
        check("He", hints(He), {"slope": self.slope})

    def __call__(self, weight: Tensor, draws: torch.Generator) -> None:
        """Overwrite `weight`."""
        nn.init.normal_(weight, std=math.sqrt(2.0 / ((1.0 + self.slope**2) * fans(weight)[0])), generator=draws)


@final
@dataclass(frozen=True)
class Orthogonal:
    """W = gain·Q, the flattened weight (O, fan-in) with orthonormal rows, or columns where there are fewer of them.

    Saxe et al. 2013, arXiv:1312.6120: a product of such matrices keeps every singular value, where a product of Gaussian ones
    spreads them with depth. √2 is the gain for ReLU.
    """

    gain: Positive = 1.0

    def __post_init__(self) -> None:
        check("Orthogonal", hints(Orthogonal), {"gain": self.gain})

    def __call__(self, weight: Tensor, draws: torch.Generator) -> None:
        """Overwrite `weight`."""
        nn.init.orthogonal_(weight, self.gain, generator=draws)


def initialize(model: nn.Module, scheme: Scheme, seed: int) -> list[str]:
    """Draw the weights of all linear and convolution layers from `scheme` and zero their biases.

    Every layer has its own generator, keyed by the seed and the layer's name: a layer that is added changes no other, and a
    layer of the same name and shape starts the same in two models, on every device: draws are made on the CPU, in float32 or
    wider. Transposed convolutions are left alone.

    Args:
        model: is changed.
        scheme: such as ``He()``.
        seed: of the draws.

    Returns:
        The names of the layers that were drawn.
    """
    drawn = []
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) or (isinstance(module, _ConvNd) and not module.transposed):
                weight = module.weight  # it may be on a device that has generators of its own, or too narrow for a QR
                fresh = torch.empty(weight.shape, dtype=torch.promote_types(weight.dtype, torch.float32), device="cpu")
                scheme(fresh, generator(seed, "init", name))
                if is_parametrized(module, "weight"):
                    module.weight = fresh.to(weight)  # what it is made of becomes such that it makes this
                else:
                    weight.copy_(fresh)
                if module.bias is not None:
                    module.bias.zero_()
                drawn.append(name)
    return drawn


def zero_last(branch: nn.Module) -> str:
    """Set the weight and bias of the branch's last layer to 0, so that x + branch(x) starts as x.

    The last layer is the last one, in order of definition, that has a `weight`: γ of a final norm (Goyal et al. 2017,
    arXiv:1706.02677), a final linear layer or convolution (Zhang et al. 2019, Fixup, arXiv:1901.09321), a `Gain`.

    Args:
        branch: the residual branch, changed; what stands behind its last layer must map 0 to 0.

    Returns:
        The layer's name in the branch.

    Raises:
        ValueError: when there is no such layer, or it standardises or parametrises its weights, whose zero is not zero.
    """
    layers = [
        (name, module)
        for name, module in branch.named_modules()
        if "weight" in dict(module.named_parameters(recurse=False)) or is_parametrized(module, "weight")
    ]
    if not layers:
        raise ValueError("zero_last: the branch has no layer with a weight; give the branch, not the function behind it")
    name, module = layers[-1]
    own = dict(module.named_parameters(recurse=False))
    if not own.keys() <= {"weight", "bias"} or is_parametrized(module):
        what = "a parametrised weight" if is_parametrized(module) else ", ".join(sorted(own))
        raise ValueError(f"zero_last: {name or 'the branch'} has {what}; zero it by hand, or end with a Gain")
    with torch.no_grad():
        for p in own.values():
            p.zero_()
    return name
