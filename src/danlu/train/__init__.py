"""Training: one exact update for anybody's loop, and the loop around it."""

from danlu.train.averaged import at_average
from danlu.train.clip import clip_coefficient
from danlu.train.evaluate import evaluate
from danlu.train.events import Clock, Observer, Result, Row
from danlu.train.log import JsonLines, PlainLog
from danlu.train.report import NonFiniteError, Report
from danlu.train.run_directory import RunDirectory
from danlu.train.trainer import Trainer
from danlu.train.update import Update
from danlu.train.window import windows

__all__ = [
    "Clock",
    "JsonLines",
    "NonFiniteError",
    "Observer",
    "PlainLog",
    "Report",
    "Result",
    "Row",
    "RunDirectory",
    "Trainer",
    "Update",
    "at_average",
    "clip_coefficient",
    "evaluate",
    "windows",
]
