"""A few faults of the campaign (``make faults`` runs it whole), and the control that must fail them."""

import subprocess
import sys

from tests.test_layers import SRC

SHORT = ["--kills", "4", "--writes", "2", "--ways", "3", "--control", "2"]
ROWS = ["kills", "kills_in_writes", "damaged", "control"]


def test_a_short_campaign():
    command = [sys.executable, "-m", "faults", *SHORT, "--only", *ROWS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SRC.parent, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(ROWS)
    assert all(line.startswith("pass  ") for line in lines)
