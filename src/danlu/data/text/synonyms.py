"""Words replaced by their synonyms, or joined by them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import torch

from danlu.data.augmentation import named
from danlu.data.uniforms import seed_of, uniforms
from danlu.ranges import Fraction, check, hints

__all__ = ["InsertSynonyms", "ReplaceBySynonyms"]

T = TypeVar("T")
Synonyms = Mapping[str, Iterable[str]] | Callable[[str], Iterable[str]]


@dataclass(frozen=True)
class _OfSynonyms(ABC):
    """What is done with ⌈rate·L⌉ of the L words of each text, words being what stands between spaces."""

    synonyms: Synonyms
    rate: Fraction = 0.1

    def __post_init__(self) -> None:
        check(type(self).__name__, hints(type(self)), {"rate": self.rate})

    def __call__(self, batch: Sequence[str], draw: torch.Generator | None = None) -> list[str]:
        """Return the texts, some with other words; one without any known word stays as it is, spaces included.

        Args:
            batch: the texts.
            draw: one number is drawn from it; None for torch's own.

        Returns:
            As many texts.
        """
        words = [text.split() for text in batch]
        longest = max(map(len, words), default=0)
        u = uniforms(seed_of(draw), torch.arange(len(batch)), 3 * longest).tolist()
        new = [self._changed(row, own) for row, own in zip(words, u, strict=True)]
        return [text if new == old else " ".join(new) for text, old, new in zip(batch, words, new, strict=True)]

    def _changed(self, words: list[str], u: list[float]) -> list[str]:
        known = {i: found for i, word in enumerate(words) if (found := self._of(word))}
        return self.changed(words, known, math.ceil(self.rate * len(words)), u) if known else words

    @abstractmethod
    def changed(self, words: list[str], known: Mapping[int, list[str]], times: int, u: list[float]) -> list[str]:
        """Return the new words; `known` has the synonyms of the words that have some, `u` three numbers for each word."""

    def _of(self, word: str) -> list[str]:
        found = self.synonyms(word) if callable(self.synonyms) else self.synonyms.get(word, ())
        return [found] if isinstance(found, str) else sorted(found)  # the order of a set differs from process to process


@named(source="Wei and Zou, 2019 (EDA), arXiv:1901.11196: synonym replacement", kind="texts")
@final
@dataclass(frozen=True)
class ReplaceBySynonyms(_OfSynonyms):
    """⌈rate·L⌉ different words of a text of L, among those that have synonyms, are replaced by one of theirs, all evenly drawn.

    Which words have synonyms is yours to say: stop words should have none. Words are what stands between spaces, asked for
    as they stand, capitals and commas included. A changed text has single spaces. Departs from the paper's max(1, ⌊rate·L⌋), so
    that rate 0 is off, and from the authors' code, which replaces a word wherever it stands in the text.

    Args:
        synonyms: word → its synonyms, a mapping or a function; a word that is not in the mapping, or has none, stays.
        rate: the part of the words.
    """

    def changed(self, words: list[str], known: Mapping[int, list[str]], times: int, u: list[float]) -> list[str]:
        """Replace those with the lowest of the first L numbers."""
        new = list(words)
        for i in sorted(known, key=lambda i: u[3 * i])[:times]:
            new[i] = _one_of(known[i], u[3 * i + 1])
        return new


@named(source="Wei and Zou, 2019 (EDA), arXiv:1901.11196: random insertion", kind="texts")
@final
@dataclass(frozen=True)
class InsertSynonyms(_OfSynonyms):
    """⌈rate·L⌉ times a synonym of one of a text's L words is put anywhere between its words, at its start or its end.

    All three are drawn evenly: the word among those of the old text that have synonyms, its synonym, the place. Words and
    departures are as in `ReplaceBySynonyms`; the authors' code takes the first synonym and never puts it at the end.

    Args:
        synonyms: as in `ReplaceBySynonyms`.
        rate: insertions per word.
    """

    def changed(self, words: list[str], known: Mapping[int, list[str]], times: int, u: list[float]) -> list[str]:
        """Insert one after the other."""
        new, places = list(words), sorted(known)
        for k in range(times):
            which, synonym, where = u[3 * k : 3 * k + 3]
            new.insert(int(where * (len(new) + 1)), _one_of(known[_one_of(places, which)], synonym))
        return new


def _one_of(choices: Sequence[T], u: float) -> T:
    return choices[int(u * len(choices))]
