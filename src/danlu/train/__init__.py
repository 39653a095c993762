"""Training: one exact update for anybody's loop, and the loop around it."""

from danlu.train.averaged import at_average
from danlu.train.callback import Callback, on
from danlu.train.clip import clip_coefficient
from danlu.train.clock import Clock
from danlu.train.evaluate import evaluate
from danlu.train.events import Observer, Result, Row
from danlu.train.inspect import Inspect
from danlu.train.log import JsonLines, PlainLog
from danlu.train.metrics import RMSE, Accuracy, Mean, Metric, Perplexity, TopK
from danlu.train.report import NonFiniteError, Report
from danlu.train.run_directory import RunDirectory
from danlu.train.step import Step
from danlu.train.trackers import TensorBoard, Tracker, WandbStyle
from danlu.train.trainer import Trainer
from danlu.train.update import Update
from danlu.train.window import windows

__all__ = [
    "RMSE",
    "Accuracy",
    "Callback",
    "Clock",
    "Inspect",
    "JsonLines",
    "Mean",
    "Metric",
    "NonFiniteError",
    "Observer",
    "Perplexity",
    "PlainLog",
    "Report",
    "Result",
    "Row",
    "RunDirectory",
    "Step",
    "TensorBoard",
    "TopK",
    "Tracker",
    "Trainer",
    "Update",
    "WandbStyle",
    "at_average",
    "clip_coefficient",
    "evaluate",
    "on",
    "windows",
]
