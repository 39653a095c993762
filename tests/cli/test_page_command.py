"""``danlu page`` without what it needs, and what it says of an exported file."""

import sys

import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

import danlu
from danlu.cli import app


@pytest.mark.parametrize("missing", ["starlette.applications", "uvicorn"])
def test_without_the_extra_one_line_says_what_to_install(missing, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name == "danlu.page" or name.startswith("danlu.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(danlu, "page", raising=False)  # what an import has left there
    monkeypatch.setitem(sys.modules, missing, None)
    out = tmp_path / "page.html"
    found = CliRunner().invoke(app, ["page", "--export", str(out)])
    assert found.exit_code == 2
    assert found.output == "error: the page needs starlette, uvicorn and plotly: pip install 'danlu[page]'\n"
    assert not out.exists()


def test_an_export_into_no_folder_is_one_line(tmp_path):
    pytest.importorskip("starlette")
    pytest.importorskip("plotly")
    found = CliRunner().invoke(app, ["page", "--export", str(tmp_path / "none" / "page.html")])
    assert found.exit_code == 2
    assert found.output == f"error: {tmp_path / 'none'} is not a folder; make it before the page is exported into it\n"
