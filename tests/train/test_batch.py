from typing import NamedTuple

import torch
from torch import nn

from danlu.train.batch import device_of, to_device

META = torch.device("meta")  # a device that every machine has beside the CPU


class Pair(NamedTuple):
    x: torch.Tensor
    name: str


class Moves:
    def __init__(self, device=None):
        self.device = device

    def to(self, device):
        return Moves(device)


def test_every_tensor_is_moved_and_the_structure_stays():
    x = torch.ones(2)
    batch = {"a": x, "b": [x, (x, 3, None)], "c": Pair(x, "n"), "d": Moves()}
    moved = to_device(batch, META)
    assert [moved["a"].device, moved["b"][0].device, moved["b"][1][0].device, moved["c"].x.device] == [META] * 4
    assert moved["b"][1][1:] == (3, None)
    assert isinstance(moved["c"], Pair)
    assert moved["c"].name == "n"
    assert moved["d"].device == META


def test_what_is_there_already_is_not_copied():
    x = torch.ones(2)
    assert to_device((x,), torch.device("cpu"))[0] is x


def test_packed_sequences_move_themselves():
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 1), torch.ones(2, 1)])
    moved = to_device(packed, torch.device("cpu"))
    assert torch.equal(moved.data, packed.data)
    assert torch.equal(moved.batch_sizes, packed.batch_sizes)


def test_device_of():
    assert device_of(nn.Linear(2, 2, device="meta")) == META
    assert device_of(nn.ReLU()) == torch.device("cpu")
