"""A crash is a verdict: under xdist each worker is a child process, and one that dies fails its test and no other."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = """
import os, signal

import pytest

@pytest.mark.parametrize("case", range(6))
def test_case(case):
    if case == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    assert case != 4
"""


def test_a_case_that_kills_its_process_fails_alone(tmp_path):
    (tmp_path / "test_cases.py").write_text(CASES, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    alone = {key: x for key, x in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "-rfE", str(tmp_path)],
        cwd=tmp_path,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 4 passed" in done.stdout
    assert "crashed while running 'test_cases.py::test_case[2]'" in done.stdout
    assert "FAILED test_cases.py::test_case[4]" in done.stdout


def test_the_suite_is_run_in_workers():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pytest -q -n 2 --dist loadgroup" in makefile
