"""What is read again, and what is not, when a run is resumed: plain loaders, loaders of other people, wrong lengths."""

import pytest
import torch
from torch.utils.data import DataLoader

from danlu.data import TensorLoader

from .resuming import UPDATES, Noisy, Signal, files, fit, trainer
from .toys import same, tokens


def test_a_plain_data_loader_resumes_with_one_warning(tmp_path):
    def data():
        return DataLoader(Noisy(), batch_size=4, shuffle=True)

    fit(tmp_path / "a", data=data(), recalibrate=0)
    fit(tmp_path / "b", Signal(7), data=data(), recalibrate=0)
    with pytest.warns(UserWarning, match="train is not keyed: its first 2 batches are read again and thrown away"):
        fit(tmp_path / "b", data=data(), recalibrate=0, resume=True)
    assert same(files(tmp_path / "a"), files(tmp_path / "b"))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.filterwarnings("ignore:accumulate=2 with BatchNorm")
def test_a_plain_data_loader_is_not_read_at_the_end_of_an_epoch(tmp_path, accumulate):
    data = Noisy()
    read = []
    data.__class__ = type("Counted", (Noisy,), {"__getitem__": lambda self, i: read.append(i) or Noisy.__getitem__(self, i)})

    def loader():
        return DataLoader(data, batch_size=4, shuffle=True)

    length = {"recalibrate": 0, "accumulate": accumulate, "until": "3ep", "save_every": "1ep"}
    fit(tmp_path / "a", data=loader(), **length)
    fit(tmp_path / "b", Signal(-(-5 // accumulate)), data=loader(), **length)
    read.clear()
    with pytest.warns(UserWarning, match="train is not keyed: it goes on with epoch 1; the rest is the same only if"):
        fit(tmp_path / "b", data=loader(), resume=True, **length)
    assert len(read) == 2 * 18
    assert same(files(tmp_path / "a"), files(tmp_path / "b"))


class Says:
    """Batches with a length of their own telling."""

    def __init__(self, length, batches):
        self.length, self.batches = length, batches

    def __len__(self):
        return self.length

    def epoch(self, e):
        return self.batches


@pytest.mark.parametrize("said", [4, 6])
def test_a_length_that_is_not_the_epochs_is_told_once(tmp_path, said):
    batches = list(TensorLoader(*tokens(18, seed=3), batch=4))
    with pytest.warns(UserWarning, match=f"train has {said} windows an epoch by its length, but epoch 0 had 5; ") as told:
        trainer(None, until=12, save_every=None).fit(Says(said, batches))
    assert len(told) == 1


class KeepsItsPlace:
    """In the form of torchdata's StatefulDataLoader: it shuffles, augments and says where it is."""

    def __init__(self):
        self.data, self.at, self.order, self.read = Noisy(), 0, [], 0

    def __len__(self):
        return 5

    def __iter__(self):
        if not self.at:
            self.order = torch.randperm(18).tolist()
        while self.at < 5:
            chosen = self.order[4 * self.at : 4 * self.at + 4]
            self.at += 1
            self.read += 1
            yield tuple(torch.stack(part) for part in zip(*(self.data[i] for i in chosen), strict=True))
        self.at = 0

    def state_dict(self):
        return {"at": self.at, "order": list(self.order)}

    def load_state_dict(self, state):
        self.at, self.order = state["at"], state["order"]


@pytest.mark.parametrize("at", [4, 5, 7])
def test_a_loader_that_keeps_its_place_goes_on_from_it(tmp_path, at):
    fit(tmp_path / "a", data=KeepsItsPlace(), recalibrate=0)
    fit(tmp_path / "b", Signal(at), data=KeepsItsPlace(), recalibrate=0)
    data = KeepsItsPlace()
    fit(tmp_path / "b", data=data, recalibrate=0, resume=True)  # no warning, and nothing is read twice
    assert data.read == UPDATES - at
    assert same(files(tmp_path / "a"), files(tmp_path / "b"))
