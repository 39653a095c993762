"""The catalogue as a Markdown page, made from the definitions: ``python -m danlu.optim.page > docs/catalogue.md``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence

from danlu.docstrings import first_line
from danlu.optim import rules
from danlu.optim.catalog import PIECES
from danlu.optim.caveats import unverified
from danlu.optim.drop_in import DropIn
from danlu.optim.explain import bytes_per_parameter
from danlu.optim.roster import PRESETS

__all__ = ["catalogue"]

_HEAD = """# Catalogue

Made from the definitions by `python -m danlu.optim.page > docs/catalogue.md`; a test tells when it is out of date.
`danlu explain NAME` says more of each: composition, arguments with ranges and defaults, notes. [optimizers.md](optimizers.md)
explains how the slots fit together.
"""

_OPTIMIZERS = """
## {count} optimizers

*Bytes* of state are per float32 parameter of a large matrix, with the default arguments. *Needs* is what `step` wants beside
gradients. *Scope* is how far a law looks, and so [which kernel it takes](optimizers.md#how-it-runs). **Unverified** stands
before the reason why a law could not be checked against an independent source.
"""

_PIECES = """
## {count} pieces

By axis: `danlu.optim.AXIS.CLASS`, or as `AXIS.NAME` in text.
"""


def catalogue() -> str:
    """The page: a table of all optimizers, and one of the pieces of each axis."""
    parts = [_HEAD, _OPTIMIZERS.format(count=len(PRESETS)), "\n", *_optimizers()]
    parts += [_PIECES.format(count=sum(map(len, PIECES.values())))]
    for axis in sorted(PIECES):
        about = first_line(importlib.import_module(f"danlu.optim.{axis}"))
        parts += [f"\n### {axis}\n\n{about}\n\n", *_pieces(axis)]
    return "".join(parts)


def _optimizers() -> Iterable[str]:
    classes = {x.preset.name: name for name, x in vars(rules).items() if isinstance(x, type) and issubclass(x, DropIn)}
    yield from _head("name", "class", "lr", "bytes", "needs", "scope", "law", "source")
    for name in PRESETS:
        found = PRESETS.get(name)
        rule = found()
        size = bytes_per_parameter(rule)
        yield _row(
            f"`{name}`",
            f"`{classes[name]}`" if name in classes else "",
            f"{found.lr:g}",
            f"{size:.3g}" if size == 0 or size >= 0.001 else "< 0.001",
            ", ".join(sorted(rule.needs - {"grad"})),
            rule.scope,
            found.summary,
            _source(found.source, unverified(found, rule)),
        )


def _pieces(axis: str) -> Iterable[str]:
    yield from _head("name", "class", "law", "source")
    for name in PIECES[axis]:
        found = PIECES[axis].get(name)
        reasons = [found.unverified] if found.unverified else []
        yield _row(f"`{name}`", f"`{found.cls.__name__}`", found.summary, _source(found.source, reasons))


def _source(source: str, reasons: Sequence[str]) -> str:
    return f"{source}. **Unverified:** {' '.join(reasons)}" if reasons else source


def _head(*names: str) -> tuple[str, str]:
    return _row(*names), _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    """One line of a table; a bar inside a cell, as in |g|, is escaped, also in code."""
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


if __name__ == "__main__":
    sys.stdout.write(catalogue())
