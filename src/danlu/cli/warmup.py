"""``danlu warmup``: build kernels before they are needed."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

import torch
import typer

from danlu import optim
from danlu.cli.errors import FAILED, reported
from danlu.optim.warmup import warmup as build

__all__ = ["warmup"]


def warmup(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Optimizers, as in danlu explain.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every preset: some minutes.")] = False,
    dtype: Annotated[str, typer.Option(help="Of the parameters: float32, bfloat16, float16 or float64.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Build the kernels of optimizers, so that runs of any model start with them at once."""
    with reported(ValueError):
        if not names and not every:
            raise ValueError("warmup: name at least one optimizer, such as adamw, or give --all")
        if dtype not in ("float32", "bfloat16", "float16", "float64"):
            raise ValueError(f"--dtype {dtype}: is not float32, bfloat16, float16 or float64")
        if device.partition(":")[0] not in ("cpu", "cuda"):
            raise ValueError(f"--device {device}: is not cpu or cuda")
        if device != "cpu" and not torch.cuda.is_available():
            raise ValueError(f"--device {device}: torch finds no CUDA device here; leave it out for cpu")
    width = max(map(len, names or optim.presets()))
    for name in names or optim.presets():
        start = perf_counter()
        with reported(ValueError, TypeError), reported(RuntimeError, code=FAILED):
            built = build(name, getattr(torch, dtype), device)
        typer.echo(f"{name:{width}}  " + (f"{perf_counter() - start:6.1f} s" if built else "runs eagerly: nothing to build"))
