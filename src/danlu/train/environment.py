"""What a run's bits depend on beside its recipe: versions, machine, threads."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from importlib.metadata import version
from typing import Any

import torch

__all__ = ["environment"]


def environment() -> dict[str, Any]:
    """Return versions, machine, threads, devices, command line and time of a start, as JSON takes it."""
    return {
        "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "danlu": version("danlu"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "host": platform.node(),
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "process": os.getpid(),
        "command": sys.argv,
    }
