"""The public face: every module says what it offers, sorted and whole."""

import ast
import importlib
import inspect

import pytest

from tests.test_layers import SRC, files, room

PACKAGES = [path for path in files() if path.name == "__init__.py"]


def name_of(path):
    return ".".join(part for part in ("danlu", room(path)) if part)


def declared(path):
    if "__all__" not in path.read_text():
        return None
    return list(importlib.import_module(name_of(path)).__all__)


@pytest.mark.parametrize("path", files(), ids=room)
def test_all_is_complete_and_true(path):
    """What a module defines without an underscore is in `__all__`, and what is in `__all__` exists."""
    names = declared(path)
    tree = ast.parse(path.read_text())
    defined = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")}
    if names is None:
        assert not defined, f"{room(path)} defines {sorted(defined)} and has no __all__"
        return
    module = importlib.import_module(name_of(path))
    assert len(set(names)) == len(names)
    assert all(hasattr(module, name) for name in names)
    assert {n for n in defined if not n.startswith("Abstract")} <= set(names) or path.is_relative_to(SRC / "danlu" / "cli")


@pytest.mark.parametrize("path", PACKAGES, ids=room)
def test_a_package_offers_what_it_imports(path):
    names = declared(path) or []
    imported = {
        alias.asname or alias.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("danlu")
        for alias in node.names
        if alias.name not in {"*", "rules"}
    }
    assert imported == {n for n in names if n in imported}, f"{name_of(path)}: __all__ lacks {imported - set(names)}"


@pytest.mark.parametrize("path", PACKAGES, ids=room)
def test_public_things_are_documented(path):
    module = importlib.import_module(name_of(path))
    for name in declared(path) or []:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name_of(path)}.{name} has no docstring"
