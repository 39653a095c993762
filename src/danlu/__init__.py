"""danlu: the craft of training PyTorch networks.

Import what you use: ``danlu.optim`` (optimizers), ``danlu.schedule``, ``danlu.loss``, ``danlu.data``, ``danlu.train``. Importing
one of them imports torch and nothing else.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("danlu")
