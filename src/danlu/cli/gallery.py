"""``danlu plot gallery``: every preset on two surfaces, for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.errors import reported
from danlu.cli.paths import folder_or_file
from danlu.optim.roster import PRESETS
from danlu.surface import Beale, MatrixLeastSquares, Rosenbrock, Surface, best_lr, picture, refusal, trace

__all__ = ["gallery"]

_STEPS = 300
_VECTORS: tuple[Surface, ...] = (Beale(), Rosenbrock())  # with minima that are not 0: weight decay must not help
_MATRICES: tuple[Surface, ...] = (MatrixLeastSquares(30.0), MatrixLeastSquares(1000.0))  # for rules that are made for them
_HEAD = f"""# Gallery

Every preset with its defaults for {_STEPS} updates from each surface's own start, without noise. The learning rate of each
picture is the one of 22, 10⁻⁵ to 10², three to the decade, that ends lowest from this very start: the best case, which flatters
all rules alike and says nothing of how wide the range of good rates is (`danlu page` shows that). Functions of two numbers do
not foretell what a rule does to a network.

| preset | surface | lr | ends above the lowest | picture |
|---|---|---|---|---|
"""


def gallery(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", parser=folder_or_file("FOLDER"), help="Where to; gallery.md and the pictures are put there."
        ),
    ],
    rules: Annotated[list[str] | None, typer.Argument(metavar="PRESET", help="Some presets; all if not said.")] = None,
) -> None:
    """Draw every preset on two surfaces at its best learning rate, minutes for all. Needs the extra plot."""
    with reported(ValueError, ImportError, OSError):
        chosen = [(name, PRESETS.get(name)()) for name in rules or PRESETS]
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for name, rule in chosen:
            for surface in _MATRICES if refusal(rule, _VECTORS[0]) else _VECTORS:
                lr = best_lr(rule, surface, _STEPS)
                found = trace(rule, surface, surface.start, lr, _STEPS)
                file = f"{name}-{len(rows) % 2 + 1}.png"
                picture(folder / file, surface, {f"{name}, lr {lr:.3g}": found}, str(surface))
                end = found.loss[0, 0, -1].item() - (surface.lowest or 0.0)
                rows.append(f"| {name} | {surface} | {lr:.3g} | {end:.3g} | ![{name}]({file}) |\n")
            typer.echo(f"{name}: {folder / file}")
        (folder / "gallery.md").write_text(_HEAD + "".join(rows), encoding="utf-8")
    typer.echo(f"{len(rows)} pictures, told in {folder / 'gallery.md'}")
