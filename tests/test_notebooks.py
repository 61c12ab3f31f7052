"""The notebooks of the documentation run from their first cell to their last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib import pyplot

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    pyplot.close("all")  # what another test may have left
    for number, source in enumerate(sources, start=1):
        exec(compile(source, f"{path.name}, cell {number}", "exec"), names)
    drawn = len(pyplot.get_fignums())
    pyplot.close("all")
    assert sources and drawn == sum("attmil.plot_" in source for source in sources)


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 4
