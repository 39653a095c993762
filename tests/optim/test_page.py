"""The catalogue in docs/ is the one that the definitions make."""

import re
from pathlib import Path

from danlu import optim
from danlu.optim.page import catalogue

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_current():
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == catalogue(), "renew it: python -m danlu.optim.page > docs/catalogue.md"


def test_every_name_has_a_row_and_every_row_its_cells():
    optimizers, pieces = catalogue().split(" pieces\n")
    for text, columns, names in (
        (optimizers, 8, optim.presets()),
        (pieces, 4, [name for found in optim.pieces().values() for name in found]),
    ):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
        assert [row[0].strip(" `") for row in rows] == names
        assert {len(row) for row in rows} == {columns}


def test_rows_say_what_the_definitions_say():
    page = catalogue()
    assert "| `adamw` | `AdamW` | 0.001 | 8 |  | element | p ← (1 − lr·λ)·p − lr·m̂/(√v̂ + ε)" in page
    assert "| `sam` | `SAM` | 0.1 | 4 | closure | element |" in page
    assert "| `nadam_simple` |  | 0.002 |" in page
    assert r"1/(1 + exp(−\|gₜ₋₁ − gₜ\|))" in page
    assert f"**Unverified:** {optim.yogi.unverified} |" in page


def test_the_readme_counts_right():
    count = f"{len(optim.presets())} optimizers from {sum(map(len, optim.pieces().values()))} pieces"
    assert count in (ROOT / "README.md").read_text(encoding="utf-8"), f"README.md: say {count}"
