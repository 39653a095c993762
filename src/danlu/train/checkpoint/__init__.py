"""Checkpoints: folders of safetensors and JSON with hashes, written so that no crash leaves half of one."""

from danlu.train.checkpoint.manifest import DamagedError
from danlu.train.checkpoint.mismatch import MismatchError
from danlu.train.checkpoint.saver import Saver
from danlu.train.checkpoint.snapshot import Snapshot
from danlu.train.checkpoint.store import Checkpoints, Keep

__all__ = ["Checkpoints", "DamagedError", "Keep", "MismatchError", "Saver", "Snapshot"]
