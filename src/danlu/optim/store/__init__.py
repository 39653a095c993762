"""Storage codecs: how a moment is kept between steps."""

from danlu.optim.store.bfloat16 import BFloat16
from danlu.optim.store.block_mean import BlockMean
from danlu.optim.store.cover import Cover
from danlu.optim.store.dense import Dense
from danlu.optim.store.factored import Factored
from danlu.optim.store.float8 import Float8
from danlu.optim.store.int8 import Int8
from danlu.optim.store.square_matricized import SquareMatricized

__all__ = ["BFloat16", "BlockMean", "Cover", "Dense", "Factored", "Float8", "Int8", "SquareMatricized"]
