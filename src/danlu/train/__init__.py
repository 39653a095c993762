"""Training: one exact update for anybody's loop, and the loop around it."""

from danlu.train.averaged import at_average
from danlu.train.batch import split_batch
from danlu.train.callback import Callback, on
from danlu.train.checkpoint import Checkpoints, DamagedError, Keep, MismatchError, Snapshot
from danlu.train.clip import clip_coefficient
from danlu.train.clock import Clock
from danlu.train.evaluate import evaluate
from danlu.train.events import Observer, Result, Row
from danlu.train.lock import LockedError
from danlu.train.log import JsonLines, PlainLog
from danlu.train.metrics import RMSE, Accuracy, Mean, Metric, Perplexity, TopK
from danlu.train.precision import Precision
from danlu.train.ranks import RankError
from danlu.train.report import NonFiniteError, Report
from danlu.train.run_directory import RunDirectory
from danlu.train.scaler import LossScaler
from danlu.train.step import Step
from danlu.train.trainer import Trainer
from danlu.train.update import Update
from danlu.train.window import windows

__all__ = [
    "RMSE",
    "Accuracy",
    "Callback",
    "Checkpoints",
    "Clock",
    "DamagedError",
    "JsonLines",
    "Keep",
    "LockedError",
    "LossScaler",
    "Mean",
    "Metric",
    "MismatchError",
    "NonFiniteError",
    "Observer",
    "Perplexity",
    "PlainLog",
    "Precision",
    "RankError",
    "Report",
    "Result",
    "Row",
    "RunDirectory",
    "Snapshot",
    "Step",
    "TopK",
    "Trainer",
    "Update",
    "at_average",
    "clip_coefficient",
    "evaluate",
    "on",
    "split_batch",
    "windows",
]
