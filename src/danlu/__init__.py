"""danlu: the craft of training PyTorch networks.

Import what you use: ``danlu.optim`` (optimizers), ``danlu.schedule``, ``danlu.loss``, ``danlu.data``, ``danlu.train``.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("danlu")
