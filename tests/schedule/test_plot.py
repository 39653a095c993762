"""Pictures: the curve is where it should be, and matplotlib is asked for only when needed."""

import sys

import numpy as np
import pytest

from danlu.schedule import Constant, Cosine, Linear, Schedule, png, text


def test_text_by_eye():
    assert text(Schedule(Linear(), per="epoch"), 8, 2, lr=0.3, width=24, height=4).split("\n") == [
        "  lr",
        " 0.3 ┤⠉⠉⠉⠉⢱",
        "     ┤    ⠈⠉⠉⠉⠉⡆",
        "0.15 ┤         ⠉⠉⠉⠉⢱⣀⣀⣀⡀",
        "   0 ┤                 ⢸",
        "     └──────────────────",
        "      0     update     8",
    ]


@pytest.mark.parametrize(("width", "height"), [(24, 3), (72, 12), (100, 20)])
def test_text_fills_its_size(width, height):
    lines = text(Schedule(Cosine(), "10%"), 1000, lr=3e-4, width=width, height=height).split("\n")
    assert len(lines) == height + 3
    assert len(lines[-1]) == len(lines[-2]) == width
    assert max(map(len, lines)) == width
    assert all(line == line.rstrip() for line in lines)


def test_text_puts_the_peak_at_the_top_and_the_floor_in_its_row():
    rows = text(Schedule(Constant()), 10, height=8).split("\n")[1:9]
    assert "⠉" in rows[0]
    assert all(row.endswith("┤") for row in rows[1:])
    rows = text(Schedule(Linear(0.5)), 10, height=8).split("\n")[1:9]
    assert all(row.endswith("┤") for row in rows[5:])
    assert not rows[3].endswith("┤")


def test_text_too_small():
    with pytest.raises(ValueError, match=r"^text: width must be at least 24 and height at least 3, got 10 and 12$"):
        text(Schedule(), 10, width=10)


def test_png_has_a_curve_of_each_schedule(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    pyplot = "matplotlib.pyplot" in sys.modules
    png(tmp_path / "two.png", {"a": Schedule(Cosine()), "b": Schedule(Linear(), per="epoch")}, 40, 4, lr=1e-3)
    assert ("matplotlib.pyplot" in sys.modules) == pyplot
    pixels = image.imread(tmp_path / "two.png")[..., :3]
    assert pixels.shape == (675, 1200, 3)
    for colour in ("#1f77b4", "#ff7f0e"):
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        assert (np.abs(pixels - rgb).max(axis=-1) < 0.01).sum() > 1000


def test_png_says_what_is_what(monkeypatch, tmp_path):
    figure = pytest.importorskip("matplotlib.figure")
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    png(tmp_path / "x.png", {"a": Schedule(), "b": Schedule(Linear(0.5))}, 40, 4, lr=1e-3)
    axes = drawn[0].axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("update", "learning rate")
    assert [axis.get_xlabel() for axis in axes.child_axes] == ["epoch"]
    assert axes.lines[1].get_ydata()[[0, 20, 40]] == pytest.approx([1e-3, 0.75e-3, 0.5e-3])


def test_png_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"^a PNG needs matplotlib: pip install 'danlu\[plot\]'"):
        png(tmp_path / "none.png", {"a": Schedule()}, 10)
    assert not list(tmp_path.iterdir())
