"""The table of edge cases names tests that exist, and every case once."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = 46


def rows():
    lines = (ROOT / "docs" / "edge_matrix.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] not in {"case", "---"}]


def named_in(*folders):
    files = [path for folder in folders for path in (ROOT / "tests" / folder).glob("test_*.py")]
    return {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_every_test_named_in_the_table_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "edge_matrix.md").read_text(encoding="utf-8")))
    assert named
    assert named <= named_in("optim", "laws")


def test_every_case_has_a_row_with_a_test_and_a_verdict():
    table = rows()
    assert len({row[0] for row in table}) == len(table) == CASES
    assert all(len(row) == 4 and "`test_" in row[1] and row[2] and row[3] for row in table)
