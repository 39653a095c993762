"""Each formula has one home: how much of the package's code stands somewhere else in it too."""

import ast
from collections import defaultdict
from itertools import combinations
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "danlu"
WINDOW, LIMIT = 6, 0.08


def code(text):
    """The lines that compute something, white space folded: no imports, docstrings, comments, blank lines, `__all__`."""
    tree, prose = ast.parse(text), set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        names = isinstance(node, ast.Assign) and "__all__" in {ast.unparse(target) for target in node.targets}
        if docstring or names or isinstance(node, (ast.Import, ast.ImportFrom)):
            prose |= set(range(node.lineno, node.end_lineno + 1))
    lines = [" ".join(line.split()) for i, line in enumerate(text.splitlines(), start=1) if i not in prose]
    return [line for line in lines if line and not line.startswith("#")]


def repetition(files):
    """Return the share of lines in a window that occurs twice, and for each pair of files how many windows they share."""
    places = defaultdict(list)
    for name, lines in files.items():
        for i in range(len(lines) - WINDOW + 1):
            places[tuple(lines[i : i + WINDOW])].append((name, i))
    twice = [found for found in places.values() if len(found) > 1]
    repeated = {(name, i + k) for found in twice for name, i in found for k in range(WINDOW)}
    pairs = defaultdict(int)
    for found in twice:
        for pair in combinations(sorted(name for name, _ in found), 2):
            pairs[pair] += 1
    worst = sorted(((n, *pair) for pair, n in pairs.items()), reverse=True)
    return len(repeated) / sum(map(len, files.values())), worst


def test_the_package_does_not_repeat_itself():
    share, worst = repetition({str(p.relative_to(PACKAGE)): code(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))})
    listed = "\n".join(f"{n:4} windows: {a} = {b}" for n, a, b in worst[:20])
    assert share <= LIMIT, f"{share:.1%} of the code lines stand in a window of {WINDOW} that occurs twice:\n{listed}"


def test_a_copied_function_is_seen():
    """Ten lines in two files of 10 and 20 lines: 20 of 30, whatever the comments and the indentation."""
    body = [f"x{i} = {i}" for i in range(10)]
    copy = ["# a comment", "if True:", *(f"    {line}" for line in body), *(f"y{i} = {i}" for i in range(9))]
    share, worst = repetition({"a": code('"""Doc."""\nimport os\n' + "\n".join(body)), "b": code("\n".join(copy))})
    assert (share, worst) == (20 / 30, [(5, "a", "b")])
