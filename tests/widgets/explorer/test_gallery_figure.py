"""Figures of a gallery on a disk that is full."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.widgets.explorer.views import gallery_figure
from napari_attmil.widgets.explorer.views.gallery_figure import GalleryFigure, save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QApplication

WRITE_TWICE = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from qtpy.QtWidgets import QApplication
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.core.settings import UserError
from napari_attmil.widgets.explorer.views.gallery_figure import (
    FigureRow,
    GalleryFigure,
    save_figure,
)

app, path = QApplication([]), Path(sys.argv[1])
image = np.random.default_rng(0).integers(0, 255, (240, 240, 3)).astype(np.uint8)
figure = GalleryFigure([FigureRow("", [image] * 8, ["c"] * 8)] * 4, GalleryScale(), "")
save_figure(path, figure)
before = path.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_figure(path, figure)
except UserError as error:
    print(error)
print(len(before) > 20_000 and path.read_bytes() == before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files cannot be limited in size there")
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure_that_does_not_fit_on_the_disk_leaves_the_one_before(
    tmp_path: Path, suffix: str
) -> None:
    command = [sys.executable, "-c", WRITE_TWICE, str(tmp_path / f"cells.{suffix}")]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert f"cells.{suffix} could not be written" in told and told.endswith("True\n")
    assert len(list(tmp_path.iterdir())) == 1


def test_figure_that_cannot_be_drawn_leaves_the_one_before(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cells.png"
    path.write_bytes(b"before")
    # As where the memory does not suffice for the picture.
    monkeypatch.setattr(gallery_figure, "PNG_ENLARGED", 0)
    with pytest.raises(UserError, match="could not be drawn; export fewer cells"):
        save_figure(path, GalleryFigure((), GalleryScale(), ""))
    assert path.read_bytes() == b"before"
