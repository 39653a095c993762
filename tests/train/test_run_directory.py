import pytest
from safetensors.torch import load_model
from torch import nn

from danlu.train import RunDirectory

from .toys import same


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
