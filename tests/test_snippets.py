"""Every documented line runs: the python blocks of each page, in order, in one namespace and an empty folder."""

import copy
import re
from pathlib import Path

import pytest

from danlu.optim import catalog, roster
from danlu.surface import SURFACES
from danlu.task import TASKS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _catalogue_as_it_was(monkeypatch):
    """A page may register pieces, presets, surfaces and tasks of its own; other tests must not meet them."""
    for axis, table in catalog.PIECES.items():
        monkeypatch.setitem(catalog.PIECES, axis, copy.deepcopy(table))
    monkeypatch.setattr(roster, "PRESETS", copy.deepcopy(roster.PRESETS))
    monkeypatch.setattr("danlu.surface.surface.SURFACES", copy.deepcopy(SURFACES))
    monkeypatch.setattr("danlu.task.TASKS", copy.deepcopy(TASKS))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace = {"__name__": "snippet"}
    for match in BLOCK.finditer(text):
        line = text[: match.start(1)].count("\n")
        exec(compile("\n" * line + match.group(1), page.name, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_place_is_kept_for_what_was_never_written(page):
    assert not re.findall(r"^(?:[A-Z]{4,}|TODO.*|TBD.*)$", page.read_text(), re.MULTILINE)
