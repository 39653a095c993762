"""English text that every Python brings along: the language reference behind ``help()``, by topic."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from danlu.keyed import key

__all__ = ["Corpus", "read", "split"]

_ENOUGH = 500_000  # characters, where the source is larger


@final
@dataclass(frozen=True)
class Corpus:
    """A text in two parts that share no topic, and the alphabet of both."""

    train: str
    test: str

    @cached_property
    def alphabet(self) -> str:
        """The symbols that occur, sorted; a symbol's place is its number."""
        return "".join(sorted(set(self.train + self.test)))

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a text's symbols, int64."""
        return torch.tensor([self._place[symbol] for symbol in text])

    def decode(self, numbers: Tensor) -> str:
        """Return the text of the numbers."""
        return "".join(self.alphabet[i] for i in numbers.tolist())

    @cached_property
    def _place(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.alphabet)}


def read() -> dict[str, str]:
    """Read the topics of `pydoc_data`, or, where a Python was built without it, modules of the standard library.

    Returns:
        Texts by name; they differ a little between Python versions, and so do losses on them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return _modules()
    return dict(topics)


def _modules() -> dict[str, str]:
    found: dict[str, str] = {}
    length = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if text.isascii() and length + len(text) <= _ENOUGH:
            found[path.stem] = text
            length += len(text)
    return found


def split(topics: dict[str, str], share: float = 0.1) -> Corpus:
    """Hold out whole topics, chosen by a hash of their names, with at most `share` of the characters.

    Args:
        topics: texts by name; at least two.
        share: of the characters, in (0, 1).

    Returns:
        Both parts, their topics in the order of their names.
    """
    room = int(share * sum(map(len, topics.values())))
    held_out: set[str] = set()
    for name in sorted(topics, key=lambda name: key("corpus", name)):
        if len(topics[name]) <= room:
            held_out.add(name)
            room -= len(topics[name])
    parts = {held: "\n\n".join(topics[n] for n in sorted(topics) if (n in held_out) == held) for held in (False, True)}
    return Corpus(train=parts[False], test=parts[True])
