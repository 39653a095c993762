"""What TensorBoard is given is what was seen."""

import pytest
import torch

from danlu.inspection import Reading, read, write

tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")


def test_histograms_and_gauges_can_be_read_back(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    source = torch.Generator().manual_seed(0)
    weight, gradient = torch.randn(300, generator=source), torch.randn(300, generator=source).relu()
    layer = read(weight, gradient)
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        write(writer, Reading(7, {"head.weight": layer}))
    events = EventAccumulator(str(tmp_path)).Reload()
    (found,) = events.Histograms("gradients/head.weight")
    assert found.step == 7
    assert found.histogram_value.num == 300
    counts = dict(zip(found.histogram_value.bucket_limit, found.histogram_value.bucket, strict=True))
    assert counts[0.0] == (gradient == 0).sum()
    assert counts[1.0] == ((gradient >= 0.5) & (gradient < 1.0)).sum()
    assert sum(counts.values()) == 300
    (rms,) = events.Scalars("gradient rms/head.weight")
    assert rms.value == pytest.approx(gradient.square().mean().sqrt().item())
