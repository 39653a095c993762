"""The trajectory page: the library's own rules on surfaces, live in a browser on this machine. Needs ``danlu[page]``."""

from danlu.page.export import export
from danlu.page.server import make_app, serve

__all__ = ["export", "make_app", "serve"]
