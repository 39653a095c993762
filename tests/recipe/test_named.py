import pytest
from typer.testing import CliRunner

from danlu.cli import app
from danlu.recipe import RecipeError, find_recipe, load, prepare, recipes
from danlu.train import Observer


@pytest.mark.parametrize("name", list(recipes()))
def test_every_recipe_runs_and_says_what_it_is_for(name):
    about = recipes().get(name)
    assert about.purpose
    assert " n = " in about.expected
    assert about.sources
    result = prepare(load(name, ["until=3"]), observers=[Observer()]).fit()
    assert result.steps == 3


def test_the_recipe_without_tuning_has_no_warm_up():
    """The task's own schedule has one, and tables of a recipe are laid over the task's."""
    schedule = load("furnace").schedule
    assert (schedule.name, schedule.warmup) == ("constant", 0)


def test_names_and_paths(tmp_path, monkeypatch):
    assert find_recipe("cnn") == recipes().get("cnn").path
    assert find_recipe("my.toml").name == "my.toml"
    with pytest.raises(RecipeError, match=r"no recipe 'cnnn'; did you mean 'cnn'\?"):
        load("cnnn")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cnn").write_text('task = "digits"\nmodel = "mlp"\n')
    assert load("cnn").model == "mlp"  # a file of one's own goes first


def test_the_command_shows_them_all():
    out = CliRunner().invoke(app, ["recipes"]).stdout
    for name in recipes():
        assert f"{name}: {recipes().get(name).purpose}" in out
    assert CliRunner().invoke(app, ["recipes", "cnn"]).stdout.startswith('task = "digits"')
    wrong = CliRunner().invoke(app, ["recipes", "cn"])
    assert wrong.exit_code == 2
    assert wrong.stderr == "error: no recipe 'cn'; did you mean 'cnn'?\n"
