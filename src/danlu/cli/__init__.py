"""The command line: it parses, calls and prints, and decides nothing. Needs ``danlu[cli]``."""

from danlu.cli.app import app

__all__ = ["app"]
