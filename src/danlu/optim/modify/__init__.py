"""Update modifiers: what happens to the direction before it is applied."""

from danlu.optim.modify.rectify import Rectify
from danlu.optim.modify.smooth import Smooth

__all__ = ["Rectify", "Smooth"]
