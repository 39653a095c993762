"""The architecture as a test: which room may import which, and what an import may bring along."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
TOOLS = {"ranges", "registry", "keyed", "docstrings"}  # rooms without a door to any other

# Room -> the rooms it may import from. Longest matching name wins; a room may always import from itself.
ALLOWED = {
    **{tool: set() for tool in TOOLS},
    "optim": {"optim", *TOOLS},
    "optim.values": set(),
    "optim.erased": set(),
    "optim.piece": {"optim.erased", "optim.values", "optim.context", *TOOLS},  # the context's type only
    "optim.context": {"optim.values", "optim.piece"},
    "optim.catalog": {"optim.piece", *TOOLS},
    "optim.roster": {"optim.rule", *TOOLS},
    **{
        f"optim.{axis}": {"optim.values", "optim.piece", "optim.context", "optim.catalog", "optim.formulas", *TOOLS}
        for axis in ("grad", "moment", "store", "direction", "modify", "decay", "rate", "average", "around", "write")
    },
    "optim.refusals": {"optim.values", "optim.piece", "optim.rule", *TOOLS},  # the rule's type only
    "optim.order": {"optim.context", "optim.values", "optim.rule"},  # the rule's type only
    "optim.rule": {
        "optim.order",
        "optim.values",
        "optim.piece",
        "optim.context",
        "optim.refusals",
        "optim.store",
        "optim.grad",
        "optim.tail",
        *TOOLS,
    },
    "optim.tail": {"optim.piece", "optim.context", "optim.rule", "optim.direction.plain"},  # the rule's type only
    "optim.run": {"optim.values", "optim.piece", "optim.context", "optim.rule", "optim.formulas", "optim.fused", *TOOLS},
    "optim.fused": {
        "optim.values",
        "optim.piece",
        "optim.rule",
        *(f"optim.{axis}" for axis in ("average", "decay", "direction", "grad", "moment")),
    },
    "optim.names": set(),
    "optim.recode": {"optim.values", "optim.piece", "optim.catalog", "optim.rule", "optim.run", "optim.store"},
    "optim.state": {"optim.values", "optim.names", "optim.piece", "optim.recode", "optim.rule", "optim.run", *TOOLS},
    "optim.params": set(),
    "optim.buffers": {
        "optim.values",
        "optim.names",
        "optim.piece",
        "optim.plan",
        "optim.rule",
        "optim.run",
        "optim.state",
        "optim.direction.plain",
        *TOOLS,
    },
    "optim.compose": {"optim.catalog", "optim.roster", "optim.named", "optim.values", "optim.piece", *TOOLS},
    "optim.formulas": {"optim.values", *TOOLS},  # what pieces of several axes share
    "optim.roles": set(),
    "optim.exempt": {"optim.plan", "optim.roles", "optim.rule"},
    "optim.memory": {"optim.rule", "optim.state"},
    "optim.release": {"optim.rule"},
    "optim.plan": {"optim.rule", "optim.run"},
    "optim.members": {"optim.plan", "optim.rule", "optim.values", *TOOLS},
    "optim.built": {"optim.members", "optim.moment", "optim.piece", "optim.plan", "optim.rule", "optim.run", "optim.values"},
    "optim.gather": {"optim.members", "optim.plan", "optim.run", "optim.state"},
    "optim.groups": {"optim.roster", "optim.named", "optim.roles", *TOOLS},
    "optim.engine": {
        "optim.buffers",
        "optim.built",
        "optim.exempt",
        "optim.gather",
        "optim.memory",
        "optim.release",
        "optim.members",
        "optim.params",
        "optim.values",
        "optim.piece",
        "optim.context",
        "optim.rule",
        "optim.run",
        "optim.plan",
        "optim.state",
        *TOOLS,
    },
    "schedule": TOOLS,
    "inspection": TOOLS,
    "loss": TOOLS,
    "data": TOOLS,
    "layers": TOOLS,
    "train": {"schedule", "loss", "data", "layers", "inspection", *TOOLS},  # no optim: the trainer sees a torch.optim.Optimizer
    "task": {"train", "schedule", "loss", "data", "layers", *TOOLS},
    "recipe": {"task", "train", "optim", "schedule", "loss", "data", *TOOLS},
    "report": {"inspection", *TOOLS},
    "surface": {"optim", "schedule", *TOOLS},
    "page": {"surface", "optim", "schedule", *TOOLS},
    "cli": {
        "page",
        "surface",
        "report",
        "inspection",
        "recipe",
        "task",
        "train",
        "optim",
        "schedule",
        "loss",
        "data",
        "layers",
        *TOOLS,
    },
    "__main__": {"cli"},
    "": set(),
}


def files():
    return sorted((SRC / "danlu").rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(SRC / "danlu").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "danlu":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {name if module(name) else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "danlu"}
    return {name.removeprefix("danlu").removeprefix(".") for name in found}


def module(name: str) -> bool:
    base = SRC / Path(*name.split("."))
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def within(name: str, rooms: set[str]) -> bool:
    return any(name == r or name.startswith(r + ".") for r in rooms)


@pytest.mark.parametrize("path", files(), ids=room)
def test_imports_point_one_way(path):
    name = room(path)
    owner = max((r for r in ALLOWED if r == "" or within(name, {r})), key=len)
    for other in imports(path):
        assert other == owner or within(other, ALLOWED[owner] | ({owner} if owner else set())), f"{name} imports {other}"


def test_no_file_outgrows_a_screenful_of_ideas():
    long = {room(p): n for p in files() if (n := len(p.read_text().splitlines())) > 400}
    assert not long


@pytest.mark.parametrize(
    "package", ["danlu.optim", "danlu.schedule", "danlu.loss", "danlu.data", "danlu.layers", "danlu.surface"]
)
def test_importing_the_core_brings_torch_alone(package):
    """In a fresh interpreter: no command line, no plotting, no data libraries, no compiler."""
    code = f"import sys, {package}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "torch" in loaded
    assert not loaded & {"typer", "rich", "pydantic", "matplotlib", "sklearn", "safetensors", "tensorboard", "triton"}
