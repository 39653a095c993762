import os

import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import nn

from danlu.train import RunDirectory, Trainer

from .toys import loss, network, same, tokens


@pytest.mark.parametrize("name", ["metrics.jsonl", "status.json", "model.safetensors"])
def test_a_folder_with_a_run_is_refused_in_one_line(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(FileExistsError) as raised:
        RunDirectory(tmp_path)
    assert str(raised.value) == f"{tmp_path} holds another run ({name}); resume it, choose another out= or delete the folder"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(FileExistsError, match="a is a file; choose another out="):
        RunDirectory(tmp_path / "a")


def test_text_written_first_does_not_make_a_run(tmp_path):
    RunDirectory(tmp_path / "runs" / "a").write_text("recipe.toml", "seed = 0 # ünï\n")
    RunDirectory(tmp_path / "runs" / "a")
    assert (tmp_path / "runs" / "a" / "recipe.toml").read_text(encoding="utf-8") == "seed = 0 # ünï\n"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head, self.norm = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False), nn.BatchNorm1d(5)
        self.head.weight = self.embed.weight


def test_tied_weights_come_back_tied(tmp_path):
    model, fresh = Tied(), Tied()
    model.norm.running_mean.fill_(3.0)
    RunDirectory(tmp_path).write_model(model)
    load_model(fresh, tmp_path / "model.safetensors")
    assert same(dict(model.state_dict()), dict(fresh.state_dict()))
    assert fresh.head.weight is fresh.embed.weight


def test_a_broken_write_leaves_the_old_file_and_nothing_else(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_text("notes", "old")
    with pytest.raises(UnicodeEncodeError):
        directory.write_text("notes", "half of this \ud800 is no text")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "notes"}
    assert (tmp_path / "notes").read_text() == "old"


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_files_have_the_permissions_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        model = network()
        Trainer(model, loss, torch.optim.Adam(model.parameters()), until=2, out=tmp_path / "a", observers=[]).fit([tokens(3)])
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert {"model.safetensors", "optimizer.safetensors", "state.json", "metrics.jsonl", "latest"} <= set(found)
    assert set(found.values()) == {0o666 & ~mask}


def test_names_are_those_of_the_model_that_was_compiled(tmp_path):
    model, plain = network(), network(1)
    compiled = torch.compile(model, backend="eager")
    run = {"until": 2, "observers": []}
    Trainer(compiled, loss, torch.optim.Adam(compiled.parameters()), out=tmp_path / "a", **run).fit([tokens(3)])
    found = load_file(tmp_path / "a" / "model.safetensors")
    assert sorted(found) == sorted(plain.state_dict())
    again = Trainer(plain, loss, torch.optim.Adam(plain.parameters()), out=tmp_path / "a", resume=True, **run)
    again.fit([tokens(3)])  # a checkpoint of the compiled model is one of the model
    assert same(plain.state_dict(), found)
    torch.compiler.reset()
