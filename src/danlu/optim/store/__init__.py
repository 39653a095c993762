"""Storage codecs: how a moment is kept between steps."""

from danlu.optim.store.dense import Dense

__all__ = ["Dense"]
