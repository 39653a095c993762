"""Schedules by name."""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

import pytest

import danlu.schedule
from danlu.ranges import Fraction
from danlu.registry import UnknownNameError
from danlu.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Linear,
    Polynomial,
    Restarts,
    Schedule,
    StableCosine,
    Steps,
    create,
    schedules,
)


def test_names():
    assert schedules() == [
        *("constant", "cosine", "exponential", "inverse_sqrt", "linear", "one_cycle"),
        *("polynomial", "restarts", "rex", "stable_cosine", "steps", "wsd"),
    ]


@pytest.mark.parametrize(
    ("made", "written"),
    [
        (create("constant"), Schedule(Constant())),
        (create("cosine", floor=0.1, warmup="5%"), Schedule(Cosine(0.1), "5%")),
        (create("linear", per="epoch", warmup_from="zero"), Schedule(Linear(), 0, "zero", "epoch")),
        (create("steps", at=[0.3, 0.6, 0.9], gamma=0.2), Schedule(Steps((0.3, 0.6, 0.9), 0.2))),
        (create("restarts", cycles=2, decay=0.5), Schedule(Restarts(2, 2.0, 0.5))),
        (create("stable_cosine", decay=0.3), Schedule(StableCosine(0.3))),
        (create("polynomial", power=2.0, floor=0.5, warmup=3), Schedule(Polynomial(2.0, 0.5), 3)),
    ],
)
def test_create(made, written):
    assert made == written


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosine", {"flor": 0.1}, "schedule 'cosine' has no option 'flor'; did you mean 'floor'?"),
        (
            "cosine",
            {"warm_up": 3},
            "schedule 'cosine' has no option 'warm_up'; did you mean 'warmup' or 'warmup_from'?",
        ),
        ("constant", {"x": 1}, "schedule 'constant' has no option 'x'; there is per, warmup, warmup_from"),
    ],
)
def test_unknown_option(name, options, message):
    with pytest.raises(TypeError) as error:
        create(name, **options)
    assert str(error.value) == message


def test_unknown_name():
    with pytest.raises(UnknownNameError, match=r"^no schedule 'cosin'; did you mean 'cosine'\?$"):
        create("cosin")


@dataclass(frozen=True)
class Step:
    at: Fraction = 0.5

    def __call__(self, z: float) -> float:
        return float(z < self.at)


def test_a_shape_of_ones_own(monkeypatch):
    monkeypatch.setitem(SCHEDULES._items, "step", Step)
    assert "step" in schedules()
    assert create("step", at=0.25, warmup=1) == Schedule(Step(0.25), 1)
    with pytest.raises(ValueError, match=r"^step: at must be in \[0, 1\], got 2\.0$"):
        create("step", at=2.0)


def test_out_of_range():
    with pytest.raises(ValueError, match=r"^polynomial: power must be in \(0, inf\), got -1$"):
        create("polynomial", power=-1)


def test_the_package_has_every_public_name_of_its_modules():
    modules = [import_module(f"danlu.schedule.{m.name}") for m in iter_modules(danlu.schedule.__path__)]
    assert sorted(danlu.schedule.__all__) == sorted(name for module in modules for name in module.__all__)
