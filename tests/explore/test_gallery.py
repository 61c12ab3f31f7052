"""Figures of a gallery: what is drawn, and files on a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.core.errors import UserError
from napari_attmil.explore.gallery import gallery_plot
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.reports.figures import rendered, save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

WRITE_TWICE = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from napari_attmil.core.settings import UserError
from napari_attmil.explore.gallery import gallery_plot
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.reports.figures import save_figure

path = Path(sys.argv[1])
image = np.random.default_rng(0).integers(0, 255, (240, 240, 3)).astype(np.uint8)
figure = gallery_plot([("", image, "c")] * 32, GalleryScale(), "")
save_figure(path, *figure)
before = path.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_figure(path, *figure)
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
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"cells.{suffix} could not be written" in told and told.endswith("True\n")
    assert len(list(tmp_path.iterdir())) == 1


def test_figure_that_cannot_be_drawn_leaves_the_one_before(tmp_path: Path) -> None:
    def draw(figure: Figure, ink: str) -> None:
        raise MemoryError

    path = tmp_path / "cells.png"
    path.write_bytes(b"before")
    with pytest.raises(UserError, match="could not be drawn; export fewer cells"):
        save_figure(path, draw, (480, 92))
    assert path.read_bytes() == b"before"


def test_each_cell_lies_in_its_place_with_a_bar_of_the_scale() -> None:
    dark, light = (np.full((240, 240), grey, np.uint8) for grey in (10, 100))
    cells = [("sickle", dark, "a")] * 9 + [("healthy", light, "$x")]
    drawing, size = gallery_plot(cells, GalleryScale(side=60), "All at one scale.")
    pixels = rendered(drawing, size, "black", ground="white")
    assert size == (8 * 128 + 32, (148 + 20) + 148 + (148 + 20) + 32 + 60)
    # Eight beside each other below the group's name, the ninth below the first, then a new group.
    for left, top, grey in [(16, 36, 10), (16 + 7 * 128, 36, 10), (16, 184, 10), (16, 352, 100)]:
        cell = pixels[top : top + 120, left : left + 120, 0]
        assert (cell[2:100, 2:-2] == grey).all() and (pixels[top, left - 3] == 255).all()
        # 20 of 60 px: a third of the picture, 6 px from its lower right corner.
        rows, columns = np.nonzero(cell == 255)
        assert (columns.min(), columns.max()) == (120 - 6 - 40, 120 - 7)
        assert (rows.min(), rows.max()) == (120 - 6 - 4, 120 - 7)
