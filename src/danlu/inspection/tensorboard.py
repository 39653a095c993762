"""Readings as TensorBoard histograms and scalars."""

from __future__ import annotations

from typing import Any

from danlu.inspection.histogram import LogHistogram
from danlu.inspection.reading import Reading

__all__ = ["write"]


def write(writer: Any, reading: Reading) -> None:
    """Add a reading to a `torch.utils.tensorboard.SummaryWriter`: histograms per layer, and the gauges as scalars.

    Args:
        writer: the writer.
        reading: what was seen.
    """
    for name, layer in reading.layers.items():
        _histogram(writer, f"weights/{name}", layer.weights, layer.weight.norm, reading.step)
        _histogram(writer, f"gradients/{name}", layer.gradients, layer.gradient.norm, reading.step)
        scalars = {"gradient rms": layer.gradient.rms, "gradient top 1 %": layer.gradient.top, "update ratio": layer.ratio}
        for label, value in scalars.items():
            writer.add_scalar(f"{label}/{name}", value, reading.step)


def _histogram(writer: Any, tag: str, histogram: LogHistogram, norm: float, step: int) -> None:
    buckets = list(histogram.buckets())
    finite = histogram.total - histogram.nonfinite
    middle = sum((low + high) / 2 * count for low, high, count in buckets)
    writer.add_histogram_raw(
        tag,
        min=buckets[0][0],
        max=buckets[-1][1],
        num=finite,
        sum=middle,  # of the bins' middles: the histogram does not keep the elements
        sum_squares=norm**2,
        bucket_limits=[high for _, high, _ in buckets],
        bucket_counts=[count for _, _, count in buckets],
        global_step=step,
    )
