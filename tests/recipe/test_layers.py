import pytest

from danlu.recipe import RecipeError, parse_file, parse_set


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=3", {"seed": 3}),
        ("optimizer.lr=3e-4", {"optimizer": {"lr": 3e-4}}),
        ("optimizer.betas=[0.9, 0.95]", {"optimizer": {"betas": [0.9, 0.95]}}),
        ("optimizer.amsgrad=true", {"optimizer": {"amsgrad": True}}),
        ("optimizer.grad={name='clip_norm', max_norm=1}", {"optimizer": {"grad": {"name": "clip_norm", "max_norm": 1}}}),
        ("schedule.name=linear", {"schedule": {"name": "linear"}}),
        ('schedule.name="linear"', {"schedule": {"name": "linear"}}),
        ("schedule.warmup=5%", {"schedule": {"warmup": "5%"}}),
        ("until = 10ep", {"until": "10ep"}),
        ("optimizer=lion", {"optimizer": {"name": "lion"}}),
        ("seed=01", {"seed": "01"}),  # no TOML number; the recipe will say so
    ],
)
def test_a_value_is_toml_or_a_word(text, values):
    assert parse_set(text).values == values


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=1", "a b=1", "", "="])
def test_what_is_no_assignment_is_told(text):
    with pytest.raises(RecipeError) as caught:
        parse_set(text)
    assert caught.value.lines == [f"--set {text}: is not KEY=VALUE; write for example --set optimizer.lr=3e-4"]


@pytest.mark.parametrize("text", ["a=", "a=[1", "a='x", "a=two words", "a=1\nb=2", "a=1,2", "a=#"])
def test_what_is_no_value_is_told(text):
    with pytest.raises(RecipeError, match="the value is neither TOML nor one word"):
        parse_set(text)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"seed = 1\nbatch 2\n", "is not TOML: Expected '=' after a key in a key/value pair (at line 2, column 7)"),
        (b"seed = 1\nseed = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 9)"),
        (b"seed = 1\n\xff", "is not text in UTF-8: byte 9 is 0xff"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_the_place(tmp_path, content, line):
    path = tmp_path / "my.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        parse_file(path)
    assert caught.value.lines == [f"{path}: {line}"]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(RecipeError, match=r"my\.toml: cannot be read: No such file or directory"):
        parse_file(tmp_path / "my.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        parse_file(tmp_path)


def test_a_layer_knows_what_it_says():
    layer = parse_set("optimizer.lr=1")
    assert layer.has(("optimizer",))
    assert layer.has(("optimizer", "lr"))
    assert layer.has(("optimizer", "lr", "deeper"))
    assert not layer.has(("optimizer", "eps"))
    assert not layer.has(("seed",))
