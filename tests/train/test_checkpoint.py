"""Checkpoints: state by name, exact, whole or not there, and never code."""

import json
import math
import os
import random

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from danlu.optim import create
from danlu.train import Checkpoints, DamagedError, Keep, MismatchError, Snapshot
from danlu.train.averaged import at_average
from danlu.train.checkpoint.named import load_by_name, state_by_name
from danlu.train.checkpoint.packed import packed, unpacked
from danlu.train.checkpoint.snapshot import write

from .toys import loss, network, same, tokens


def stepped(optimizer, model, n=3):
    for k in range(n):
        optimizer.zero_grad()
        loss(model, tokens(4, seed=k)).total.backward()
        optimizer.step()
    return optimizer


def test_packing_gives_back_what_it_was_given():
    shared = torch.arange(6.0)
    state = {
        "floats": [0.1, 1e-320, math.inf, -0.0, math.pi],
        "tuple": (1, (2.5, None), "ü"),
        "bool": True,
        "big": 2**80,
        3: {"": torch.zeros(0, 4)},
        "$odd": torch.tensor(7, dtype=torch.int64),
        "views": [shared[:3], shared[3:], shared.view(2, 3).t()],
        "complex": torch.tensor([1 + 2j, 3 - 4j]),
        "bf16": torch.tensor([1.5], dtype=torch.bfloat16),
        "a.b": {"c": torch.tensor(1.0)},
        "a": {"b.c": torch.tensor(2.0)},
    }
    tree, tensors = packed(state)
    back = unpacked(json.loads(json.dumps(tree)), tensors)
    assert same(back, state)
    assert isinstance(back["tuple"], tuple)
    assert isinstance(back["tuple"][1], tuple)
    assert math.copysign(1, back["floats"][3]) == -1
    assert type(back["bool"]) is bool


def test_what_is_no_data_is_refused_by_its_place():
    with pytest.raises(TypeError) as raised:
        packed({"callbacks": {"mine": [1, {2, 3}]}})
    what = "it must be tensors, numbers, text, lists or dictionaries"
    assert str(raised.value) == f"checkpoint: callbacks.mine.1 is a set; {what}"


def test_parameters_outside_of_the_model_are_kept_with_the_optimizer():
    """Such as the log variances of a loss that learns them: they are trained, and in no model's state."""
    model = network()

    def made(value, shape=(2,)):
        outside = nn.Parameter(torch.full(shape, value))
        return outside, torch.optim.SGD([*model.parameters(), outside])

    saved = state_by_name(made(3.0)[1], model)
    outside, optimizer = made(0.0)
    load_by_name(optimizer, model, saved)
    assert outside.tolist() == [3.0, 3.0]
    with pytest.raises(MismatchError, match=r"group 0, parameter 4 has shape \(2,\), this run's \(3,\)"):
        load_by_name(made(0.0, (3,))[1], model, saved)


class Swapped(nn.Module):
    """Two layers of one shape, defined in the order that is asked for."""

    def __init__(self, *names):
        super().__init__()
        for name in names:
            setattr(self, name, nn.Linear(3, 3).double())


@pytest.mark.parametrize(
    "make",
    [
        lambda m: create("adamw", m, 0.1, average="ema"),
        lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, amsgrad=True),
        lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9),
    ],
)
def test_state_follows_the_name_not_the_position(make):
    """torch itself would give a's momentum to b here, in silence."""
    ab, ba = Swapped("a", "b"), Swapped("b", "a")
    first, second = make(ab), make(ba)
    for name, p in ab.named_parameters():
        p.grad = torch.full_like(p, 1.0 + (name[0] == "a"))
    first.step()
    saved = state_by_name(first, ab)
    load_by_name(second, ba, saved)
    assert same(saved["state"], state_by_name(second, ba)["state"])
    momentum = next(key for key in saved["state"]["a.weight"] if key.startswith(("exp_avg", "momentum")))
    assert second.state[ba.a.weight][momentum][0, 0] == 2 * second.state[ba.b.weight][momentum][0, 0] != 0


def test_groups_may_change_places():
    model = network()
    parts = [list(model[0].parameters()), list(model[2].parameters())]
    one = torch.optim.SGD([{"params": parts[0], "lr": 0.1}, {"params": parts[1], "lr": 0.2}], momentum=0.9)
    two = torch.optim.SGD([{"params": parts[1]}, {"params": parts[0]}], lr=5.0, momentum=0.9)
    load_by_name(two, model, state_by_name(stepped(one, model), model))
    assert [group["lr"] for group in two.param_groups] == [0.2, 0.1]
    assert all(same(dict(one.state[p]), dict(two.state[p])) for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: torch.optim.SGD(m.parameters()), "it was made with AdamW, this run has SGD"),
        (lambda m: torch.optim.AdamW(m[0].parameters()), "its optimizer has 2.weight, 2.bias"),
        (
            lambda m: torch.optim.AdamW([{"params": m[0].parameters()}, {"params": m[2].parameters()}]),
            "its parameter groups are others: none has exactly 0.bias, 0.weight",
        ),
    ],
)
def test_another_optimizer_is_refused_and_unchanged(make, message):
    model = network()
    saved = state_by_name(stepped(torch.optim.AdamW(model.parameters()), model), model)
    other = make(model)
    with pytest.raises(MismatchError) as raised:
        load_by_name(other, model, saved)
    assert str(raised.value) == message
    assert not other.state


class Tied(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.embed, self.head, self.norm = nn.Embedding(5, width), nn.Linear(width, 5, bias=False), nn.BatchNorm1d(5)
        self.head.weight = self.embed.weight
        self.conv = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)


def tied(width=3, seed=0):
    torch.manual_seed(seed)
    model = Tied(width)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def filled(model, optimizer):
    for k, p in enumerate(model.parameters()):
        p.grad = torch.randn_like(p) * (k + 1)
    optimizer.step()
    model.norm.running_mean.fill_(3.0)


RUN = {"trainer": {"clock": {"done": 5}}, "metrics": 0}


def test_a_snapshot_restores_everything_tied_weights_and_layouts_too(tmp_path):
    model, optimizer = tied()
    filled(model, optimizer)
    write(tmp_path, model, optimizer, RUN, {"step": 5})
    fresh, its = tied(seed=1)
    found = Snapshot.read(tmp_path)
    found.restore(fresh, its)
    assert same(dict(model.state_dict()), dict(fresh.state_dict()))
    assert fresh.head.weight is fresh.embed.weight
    assert same(state_by_name(optimizer, model), state_by_name(its, fresh))
    assert its.state[fresh.conv.weight]["exp_avg"].stride() == fresh.conv.weight.stride() != (18, 9, 3, 1)
    assert found.run == RUN
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_checkpoint_of_another_model_says_what_differs_and_changes_nothing(tmp_path):
    write(tmp_path, *tied(width=4), RUN, {})
    model, optimizer = tied()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with pytest.raises(MismatchError, match=r"^its embed.weight has shape \(5, 4\), this run's \(5, 3\)$"):
        Snapshot.read(tmp_path).restore(model, optimizer)
    net = nn.Linear(3, 3)
    with pytest.raises(MismatchError, match=r"^its model has .* and lacks weight, bias$"):
        Snapshot.read(tmp_path).restore(net, torch.optim.AdamW(net.parameters()))
    assert same(before, dict(model.state_dict()))


def test_raw_and_averaged_weights_are_separate_files(tmp_path):
    model = network()
    optimizer = stepped(create("adamw", model, 0.1, average="ema"), model)
    write(tmp_path, model, optimizer, RUN, {}, at_average(optimizer))
    raw, averaged = load_file(tmp_path / "model.safetensors"), load_file(tmp_path / "averaged.safetensors")
    assert same(raw, dict(model.state_dict()))
    with optimizer.averaged():
        assert same(averaged, dict(model.state_dict()))
    assert not torch.equal(raw["0.weight"], averaged["0.weight"])


def test_inside_averaged_nothing_is_saved(tmp_path):
    model = network()
    optimizer = stepped(create("adamw", model, 0.1, average="ema"), model)
    store = Checkpoints(tmp_path / "c")
    with optimizer.averaged(), pytest.raises(RuntimeError, match=r"^checkpoint: inside averaged\(\) the weights are not"):
        store.save(1, lambda path: write(path, model, optimizer, RUN, {}, at_average(optimizer)))
    assert list((tmp_path / "c").iterdir()) == []


# ---- damage --------------------------------------------------------------------------------------------------------------


def saved(tmp_path, *steps, keep=None):
    model, optimizer = tied()
    filled(model, optimizer)
    store = Checkpoints(tmp_path / "checkpoints", keep)
    for step in steps:
        store.save(step, lambda path, step=step: write(path, model, optimizer, RUN, {"step": step}))
    return store


def test_every_single_flipped_byte_is_noticed(tmp_path):
    """torch.load notices 1 in 200."""
    store = saved(tmp_path, 1)
    draw = random.Random(0)
    for path in sorted(store.all()[0].iterdir()):
        good = path.read_bytes()
        for at in {0, len(good) - 1, *draw.sample(range(len(good)), 25)}:
            if good[at] in b" \n":  # white space of the manifest means nothing
                continue
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << draw.randrange(7)]) + good[at + 1 :])
            with pytest.raises(DamagedError):
                Snapshot.read(path.parent)
        path.write_bytes(good[: len(good) // 2])
        with pytest.raises(DamagedError):
            Snapshot.read(path.parent)
        path.unlink()
        with pytest.raises(DamagedError, match=f"^{path.name} is missing$"):
            Snapshot.read(path.parent)
        path.write_bytes(good)
    assert Snapshot.read(store.all()[0])


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"seal": 1}', "[" * 100_000, '{"seal": "", "files": {"../../etc": {}}}', "\udcff"]
)
def test_a_manifest_that_is_none(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DamagedError, match="manifest"):
        Snapshot.read(tmp_path)


def test_the_newest_whole_one_is_used_with_one_message(tmp_path):
    store, told = saved(tmp_path, 1, 2, 3, keep=Keep(last=3)), []
    for step in (3, 2):
        os.truncate(store.folder / f"step-00000000{step}" / "model.safetensors", 10)
    found = store.newest(told.append)
    assert found.path.name == "step-000000001"
    assert len(told) == 1
    assert "step-000000003 is damaged (model.safetensors has 10 bytes instead of" in told[0]
    assert told[0].endswith("going on from step-000000001")
    store.set_aside(found.path)
    assert [path.name for path in store.all()] == ["step-000000001"]
    assert (store.folder / "damaged-step-000000003").is_dir()


def test_when_all_are_damaged_it_is_an_error_and_when_there_is_none_it_is_not(tmp_path):
    store = saved(tmp_path, 1, 2)
    for path in store.all():
        (path / "manifest.json").unlink()
    with pytest.raises(DamagedError, match=r"no checkpoint can be read: step-000000002 is damaged \(manifest.json"):
        store.newest(pytest.fail)
    assert Checkpoints(tmp_path / "none").newest(pytest.fail) is None


# ---- keeping -------------------------------------------------------------------------------------------------------------


def test_last_best_and_lasting_ones_are_kept(tmp_path):
    model, optimizer = tied()
    store = Checkpoints(tmp_path / "c", Keep(last=2, best=True))
    for step in range(1, 9):
        about = {"lasting": step == 4}
        store.save(step, lambda path, about=about: write(path, model, optimizer, RUN, about), best=step in {2, 3})
    assert [int(path.name[5:]) for path in store.all()] == [8, 7, 4, 3]
    assert (tmp_path / "c" / "latest").read_text() == "step-000000008\n"
    assert store.best().name == "step-000000003"


@pytest.mark.parametrize("last", [0, 1, 1.5])
def test_two_are_kept_at_least(last):
    with pytest.raises(ValueError, match=r"^Keep: last must be"):
        Keep(last=last)


def test_a_write_that_breaks_leaves_the_old_ones_and_nothing_else(tmp_path):
    store = saved(tmp_path, 1)
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}

    def broken(path):
        (path / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.save(2, broken)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before


def test_what_a_killed_process_left_is_removed(tmp_path):
    store = saved(tmp_path, 1)
    (store.folder / ".abc.tmp").mkdir()
    (store.folder / ".abc.tmp" / "model.safetensors").write_bytes(b"half")
    (store.folder / ".latest.123.tmp").write_text("")
    store.clean()
    assert {path.name for path in store.folder.iterdir()} == {"latest", "step-000000001"}


def test_at_every_call_to_the_disk_a_crash_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    """The n-th fsync or rename is the last thing that happens, for every n."""
    model, optimizer = tied()
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace")}
    crashed = 0
    for n in range(100):
        store = saved(tmp_path / str(n), 1)
        left = [n]

        def counted(name, left=left):
            def call(*arguments, **options):
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                return real[name](*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in real:
                patch.setattr(os, name, counted(name))
            try:
                store.save(2, lambda path: write(path, model, optimizer, RUN, {}))
                done = True
            except KeyboardInterrupt:
                done = False
        store.clean()
        found = [int(path.name[5:]) for path in store.all()]
        assert found in ([2, 1], [1])
        assert Snapshot.read(store.all()[0])
        assert store.newest(pytest.fail)
        crashed += not done
        if done:
            break
    assert crashed >= 8
    assert found == [2, 1]


def test_an_interval_of_no_length_keeps_nothing_and_is_refused():
    with pytest.raises(ValueError, match=r"^Keep: every must be longer than 0, got '0ep'$"):
        Keep(every="0ep")
