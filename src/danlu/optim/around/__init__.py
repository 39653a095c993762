"""Around: points beside the parameter where its gradient is taken."""

from danlu.optim.around.sam import Asam, Sam

__all__ = ["Asam", "Sam"]
