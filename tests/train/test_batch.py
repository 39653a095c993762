from collections import UserDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from danlu.train.batch import device_of, split_batch, to_device

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


# Cutting a batch into micro-batches


@dataclass
class Texts:
    tokens: torch.Tensor
    words: list
    temperature: float = 1.0


class Encoding(UserDict):
    """As tokenizers return it: a mapping with a method of its own."""

    def first(self):
        return self["x"][0]


@pytest.mark.parametrize(
    "make",
    [
        lambda x, words: x,
        lambda x, words: (x, x),
        lambda x, words: [x, x],
        lambda x, words: {"x": x, "words": words, "n": 3, "none": None, "scalar": torch.tensor(2.0)},
        lambda x, words: Pair(x, "n"),
        lambda x, words: Texts(x, words),
        lambda x, words: Encoding({"x": x, "words": words}),
        lambda x, words: ({"a": [x, Pair(x, "n")]}, Texts(x, words)),
    ],
)
def test_pieces_put_together_are_the_batch(make):
    x, words = torch.arange(14).reshape(7, 2), list("abcdefg")
    pieces = split_batch(make(x, words), 3)
    for piece, (start, end) in zip(pieces, [(0, 3), (3, 6), (6, 7)], strict=True):
        wanted = make(x[start:end], words[start:end])
        assert type(piece) is type(wanted)
        assert str(piece) == str(wanted)
    if isinstance(pieces[0], Encoding):
        assert torch.equal(pieces[1].first(), x[3])


def test_a_small_batch_is_not_cut_and_a_large_one_not_copied():
    x = torch.ones(4, 2)
    batch = (x, None)
    assert split_batch(batch, 4)[0] is batch
    assert split_batch(batch, 3)[0][0].data_ptr() == x.data_ptr()


@pytest.mark.parametrize(
    ("batch", "size", "words"),
    [
        ((torch.ones(4), torch.ones(3)), 2, "tensors of 3 and 4 items; pass split="),
        ([1, 2, 3], 2, "no tensor with a first dimension; pass split="),
        (torch.ones(4), 0, r"split_batch: size must be in \[1, inf\)"),
    ],
)
def test_what_cannot_be_cut_is_refused(batch, size, words):
    with pytest.raises(ValueError, match=words):
        split_batch(batch, size)


def test_dataclasses_are_moved_too():
    assert to_device(Texts(torch.ones(2), ["a"]), META).tokens.device == META
