"""Texts in other words: to another language and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch

from danlu.data.augmentation import named
from danlu.data.uniforms import seed_of, uniforms
from danlu.ranges import Fraction, check, hints

__all__ = ["BackTranslation"]

Translator = Callable[[list[str]], Sequence[str]]


@named(source="Sennrich et al., 2016, arXiv:1511.06709; Yu et al., 2018 (QANet), arXiv:1804.09541, section 3", kind="texts")
@final
@dataclass(frozen=True)
class BackTranslation:
    """back(there(text)) with probability p, else the text; with your own translators.

    Which texts are translated is keyed. That a resumed run sees the same words needs translators that are functions of
    their texts, without sampling, or a cache of yours. They are given all chosen texts at once, and nothing if none is.

    Args:
        there: takes a list of texts, returns as many.
        back: likewise.
        probability: p; 0 is off.
    """

    there: Translator
    back: Translator
    probability: Fraction = 0.5

    def __post_init__(self) -> None:
        check("BackTranslation", hints(BackTranslation), {"probability": self.probability})

    def __call__(self, batch: Sequence[str], draw: torch.Generator | None = None) -> list[str]:
        """Return the texts, some of them in other words.

        Args:
            batch: the texts.
            draw: one number is drawn from it; None for torch's own.

        Returns:
            As many texts.

        Raises:
            ValueError: when a translator returns another number of texts.
        """
        u = uniforms(seed_of(draw), torch.arange(len(batch)), 1)
        chosen = (u[:, 0] < self.probability).nonzero()[:, 0].tolist()
        found = [batch[i] for i in chosen]
        for translate in (self.there, self.back) if chosen else ():
            found = list(translate(found))
            if len(found) != len(chosen):
                raise ValueError(f"BackTranslation: a translator took {len(chosen)} texts and returned {len(found)}")
        new = dict(zip(chosen, found, strict=True))
        return [new.get(i, text) for i, text in enumerate(batch)]
