import torch
from torch import nn

from danlu.train.batch import device_of
from danlu.train.replay import Surroundings
from danlu.train.walk import modules


class Knot(nn.Module):
    """A child that is there twice, one that is None, a module that contains itself, a parameter and a buffer that are None."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3, bias=False))
        self.again = self.shared
        self.nothing = None
        self.register_module("empty", None)
        self.register_parameter("absent", None)
        self.register_buffer("void", None)
        self.shared.add_module("up", self)


def test_the_walk_is_that_of_torch():
    for model in (Knot(), nn.Linear(2, 2), nn.TransformerDecoderLayer(8, 2, 8), nn.Sequential()):
        assert list(modules(model)) == list(model.modules())


def test_the_walk_sees_what_has_been_added_since():
    model = nn.Sequential(nn.Linear(2, 2))
    before = len(modules(model))
    model.append(nn.ReLU())
    assert len(modules(model)) == before + 1


def test_device_and_buffers_of_a_knotted_model():
    model = Knot()
    assert device_of(model) == torch.device("cpu")
    start = Surroundings(model)
    wanted = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.shared[0](torch.randn(4, 3))
    assert not torch.equal(model.shared[0].running_mean, wanted["shared.0.running_mean"])
    model.shared[0].running_var = torch.full((3,), 7.0)  # a new tensor in its place
    start.restore()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, wanted[name]), name
