"""Torch-like optimizer classes, made from a preset in two lines."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from danlu.optim.buffers import AtAverage
from danlu.optim.engine import Compile, Optimizer
from danlu.optim.named import Named
from danlu.optim.params import Params
from danlu.optim.roster import Preset

__all__ = ["DropIn"]


class DropIn(Optimizer):
    """A preset behind the argument list of ``torch.optim``: ``AdamW(params, lr=1e-3, betas=(0.9, 0.999), ...)``.

    Subclass with ``class AdamW(DropIn, preset=adamw)``; the preset's arguments follow params and lr in their order.

    Args:
        params: a module, parameters, named parameters, or group dicts.
        lr: learning rate, a float or a 0-d tensor; None for the preset's default.
        *args: the preset's arguments in their order, which is torch's.
        maximize: climb instead of descend.
        foreach: accepted as torch's hint and not needed: the engine chooses how a rule runs.
        fused: likewise.
        capturable: only False: any step is recorded in a CUDA graph through `graphed`.
        differentiable: only False: steps are not differentiated through.
        compile: True, False or "auto"; see `Optimizer`.
        buffers: "copy" or "average"; None for the preset's choice. See `Optimizer`.
        **options: the preset's arguments by name.

    Raises:
        TypeError: for an unknown argument.
        ValueError: for a value out of its range.
    """

    preset: ClassVar[Preset[...]]

    def __init_subclass__(cls, preset: Preset[...], **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.preset = preset
        own = list(inspect.signature(preset.build).parameters.values())
        base = inspect.signature(DropIn.__init__).parameters
        head = [base["self"], base["params"], base["lr"].replace(default=preset.lr)]
        tail = [base[name] for name in ("maximize", "foreach", "fused", "capturable", "differentiable", "compile", "buffers")]
        positional = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
        keyword = [p for p in own if p.kind is p.KEYWORD_ONLY]
        cls.__signature__ = inspect.Signature([*head[1:], *positional, *keyword, *tail])
        cls.__doc__ = f"{cls.__doc__}\n\n{inspect.getdoc(preset.build)}\n\nSource: {preset.source}"

    def __init__(
        self,
        params: Params,
        lr: float | Tensor | None = None,
        *args: Any,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        compile: Compile = "auto",  # noqa: A002 - torch's word
        buffers: AtAverage | None = None,
        **options: Any,
    ) -> None:
        if capturable:
            raise ValueError(f"{self.preset.name}: leave capturable False: optim.graphed records steps in CUDA graphs")
        if differentiable:
            raise ValueError(f"{self.preset.name}: differentiable=True is not offered; leave it False")
        chosen = {**self._positional(args, options), **options}
        rate = self.preset.lr if lr is None else lr
        super().__init__(params, Named(self.preset, chosen), rate, maximize=maximize, compile=compile, buffers=buffers)

    def _positional(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> dict[str, Any]:
        names = [p.name for p in inspect.signature(self.preset.build).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        if len(args) > len(names):
            raise TypeError(f"{self.preset.name}: takes {len(names)} arguments after lr ({', '.join(names)}), got {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name in given:
            if name in options:
                raise TypeError(f"{self.preset.name}: {name} is given twice")
        return given
