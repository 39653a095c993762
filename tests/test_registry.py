"""Names: one table per kind, and the nearest ones for a name that is in none."""

import pytest

from danlu.registry import Registry, UnknownNameError, did_you_mean


@pytest.fixture
def table():
    registry = Registry("optimizer")
    for name in ("sgd", "adamw", "adam"):
        registry.add(name, name.upper())
    return registry


def test_what_was_added_is_found_and_listed_in_order(table):
    assert table.get("adamw") == "ADAMW"
    assert list(table) == ["adam", "adamw", "sgd"]
    assert len(table) == 3
    assert "sgd" in table
    assert "SGD" not in table
    assert 3 not in table


def test_a_name_is_given_once(table):
    with pytest.raises(RuntimeError, match=r"^optimizer 'sgd' is registered twice$"):
        table.add("sgd", "again")
    assert table.get("sgd") == "SGD"


def test_an_unknown_name_suggests_the_nearest_ones(table):
    with pytest.raises(UnknownNameError) as raised:
        table.get("adamv")
    assert str(raised.value) == "no optimizer 'adamv'; did you mean 'adam' or 'adamw'?"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert isinstance(raised.value, ValueError)


def test_an_unknown_name_far_from_all_lists_a_short_table(table):
    with pytest.raises(UnknownNameError, match=r"^no optimizer 'zzz'; there is adam, adamw, sgd$"):
        table.get("zzz")


@pytest.mark.parametrize(
    ("word", "choices", "answer"),
    [
        ("weight_dacay", ["lr", "weight_decay"], "; did you mean 'weight_decay'?"),
        ("AdamW", ["adam", "adamw", "radam", "sadam"], "; did you mean 'adamw' or 'adam' or 'sadam'?"),
        ("ema", ["Ema", "Peak"], "; did you mean 'Ema'?"),
        ("x", [], ""),
        ("x", ["lr"], "; there is lr"),
        ("x", [f"name{i}" for i in range(12)], f"; there is {', '.join(sorted(f'name{i}' for i in range(12)))}"),
        ("x", [f"name{i}" for i in range(13)], ""),
        ("name", [f"name{i}" for i in range(13)], "; did you mean 'name9' or 'name8' or 'name7'?"),
    ],
)
def test_did_you_mean(word, choices, answer):
    assert did_you_mean(word, iter(choices)) == answer
