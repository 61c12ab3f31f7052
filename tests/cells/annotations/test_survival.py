"""What is left of a person's work when the program dies; 200 deaths are the benchmark's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "annotations_survive.py"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither fork nor SIGKILL")
def test_twenty_kills_at_random_moments_lose_no_edit_and_every_file_opens(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--kills", "20", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    (row,) = json.loads(out.read_text("utf-8"))["rows"]
    assert row["edits"] > 100
    assert (row["kills"], row["lost"], row["not opening"]) == (20, 0, 0)
