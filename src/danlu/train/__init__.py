"""Training: one exact update for anybody's loop, and the loop around it."""

from danlu.train.adapt import Adapt
from danlu.train.augment import Augment
from danlu.train.averaged import at_average
from danlu.train.batch import split_batch
from danlu.train.borrowed import borrowed
from danlu.train.callback import Callback, on
from danlu.train.checkpoint import Checkpoints, DamagedError, Keep, MismatchError, Snapshot
from danlu.train.clip import clip_coefficient
from danlu.train.clock import Clock
from danlu.train.early_stop import EarlyStop
from danlu.train.ensemble import Ensemble
from danlu.train.evaluate import evaluate
from danlu.train.events import Observer, Result, Row
from danlu.train.freeze import Freeze
from danlu.train.inspect import Inspect
from danlu.train.lock import LockedError
from danlu.train.log import JsonLines, PlainLog
from danlu.train.lr_finder import LRCurve, lr_find
from danlu.train.metrics import RMSE, Accuracy, Mean, Metric, Perplexity, Ratio, TopK
from danlu.train.micro_batch import find_micro_batch
from danlu.train.mixing import Mix, of_mixed
from danlu.train.over_window import OverWindow
from danlu.train.precision import Precision
from danlu.train.ranks import RankError
from danlu.train.recalibrate import Recalibrate
from danlu.train.report import NonFiniteError, Report
from danlu.train.run_directory import RunDirectory
from danlu.train.scaler import LossScaler
from danlu.train.snapshots import Snapshots
from danlu.train.soup import greedy_soup, soup
from danlu.train.step import Step
from danlu.train.trackers import TensorBoard, Tracker, WandbStyle
from danlu.train.trainer import Trainer
from danlu.train.transfer import LoadReport, load_weights, read_weights, replace_head
from danlu.train.update import Update
from danlu.train.window import windows

__all__ = [
    "RMSE",
    "Accuracy",
    "Adapt",
    "Augment",
    "Callback",
    "Checkpoints",
    "Clock",
    "DamagedError",
    "EarlyStop",
    "Ensemble",
    "Freeze",
    "Inspect",
    "JsonLines",
    "Keep",
    "LRCurve",
    "LoadReport",
    "LockedError",
    "LossScaler",
    "Mean",
    "Metric",
    "MismatchError",
    "Mix",
    "NonFiniteError",
    "Observer",
    "OverWindow",
    "Perplexity",
    "PlainLog",
    "Precision",
    "RankError",
    "Ratio",
    "Recalibrate",
    "Report",
    "Result",
    "Row",
    "RunDirectory",
    "Snapshot",
    "Snapshots",
    "Step",
    "TensorBoard",
    "TopK",
    "Tracker",
    "Trainer",
    "Update",
    "WandbStyle",
    "at_average",
    "borrowed",
    "clip_coefficient",
    "evaluate",
    "find_micro_batch",
    "greedy_soup",
    "load_weights",
    "lr_find",
    "of_mixed",
    "on",
    "read_weights",
    "replace_head",
    "soup",
    "split_batch",
    "windows",
]
