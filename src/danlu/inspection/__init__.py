"""Looking at weights and gradients: histograms, tail gauges, and verdicts in words."""

from danlu.inspection.gauges import Gauges
from danlu.inspection.histogram import LogHistogram
from danlu.inspection.picture import heatmaps
from danlu.inspection.reading import Layer, Reading, read, update_ratio
from danlu.inspection.tensorboard import write
from danlu.inspection.verdict import Verdict, verdicts

__all__ = [
    "Gauges",
    "Layer",
    "LogHistogram",
    "Reading",
    "Verdict",
    "heatmaps",
    "read",
    "update_ratio",
    "verdicts",
    "write",
]
