"""Looking at weights and gradients: histograms, tail gauges, verdicts in words, and where the first nan comes from."""

from danlu.inspection.gauges import Gauges
from danlu.inspection.histogram import LogHistogram
from danlu.inspection.nonfinite import NonFinite, first_nonfinite
from danlu.inspection.picture import heatmaps
from danlu.inspection.reading import Layer, Reading, look, read, update_ratio
from danlu.inspection.tensorboard import write
from danlu.inspection.verdict import Verdict, verdicts

__all__ = [
    "Gauges",
    "Layer",
    "LogHistogram",
    "NonFinite",
    "Reading",
    "Verdict",
    "first_nonfinite",
    "heatmaps",
    "look",
    "read",
    "update_ratio",
    "verdicts",
    "write",
]
