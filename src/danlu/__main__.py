"""The command ``danlu``, and ``python -m danlu``."""

from __future__ import annotations

import sys

__all__ = ["main"]

_NEEDED = {"typer", "rich", "pydantic", "pydantic_core", "tomli_w"}


def main() -> None:
    """Run the command line; without its packages, say in one line how to get them.

    Raises:
        ModuleNotFoundError: when another package is missing than those of ``danlu[cli]``.
    """
    try:
        from danlu.cli import app
    except ModuleNotFoundError as missing:
        if missing.name not in _NEEDED:
            raise
        sys.stderr.write(f"error: the command line needs {missing.name}; pip install 'danlu[cli]'\n")
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
