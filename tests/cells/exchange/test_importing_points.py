"""Tables of centre points: boxes are found around them, and count as doubtful."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Source
from napari_attmil.cells.exchange.account import LeftOut
from napari_attmil.cells.exchange.boxes_from_points import POINT_SCORE
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.importing import import_boxes
from napari_attmil.core import finished
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from pathlib import Path


def test_boxes_are_found_around_centre_points_and_what_fits_no_cell_is_told(
    tmp_path: Path,
) -> None:
    y, x = np.mgrid[:120, :160]
    image = np.full((120, 160), 220, np.uint8)
    for cx, cy in ((40, 40), (110, 50)):
        image[np.hypot(x - cx, y - cy) <= 15] = 100
    tifffile.imwrite(tmp_path / "001.tif", image)
    table = tmp_path / "cells.csv"
    table.write_text(
        "image,x,y,cell_type\n001.tif,41,42,normal\n001.tif,108,49,burr\n001.tif,5,110,normal\n"
    )
    sample = Sample("s", "p", None, (Frame(tmp_path / "001.tif"),))
    found = read_boxes([table])
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    outcome = finished(import_boxes([sample], file, found, "cells.csv"))
    assert outcome.notes == ("Boxes were found around 2 of 3 centre points; review them.",)
    reason = "no single cell was found around it"
    assert outcome.left_out == (LeftOut("the point at 5, 110", "001.tif", reason),)
    in_a_notebook = outcome._repr_html_()
    assert "2 boxes added" in in_a_notebook and reason in in_a_notebook
    kept = file.read(sample)
    assert kept is not None
    np.testing.assert_allclose(kept.boxes.xyxy, [[25, 25, 56, 56], [95, 35, 126, 66]], atol=2)
    assert set(kept.boxes.source.tolist()) == {Source.MODEL}
    assert set(kept.boxes.score.tolist()) == {POINT_SCORE}


def test_an_image_whose_points_are_all_of_other_cells_gets_no_boxes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "001.tif", np.full((40, 60), 9, np.uint8))
    table = tmp_path / "cells.csv"
    table.write_text("image,x,y,cell_type\n001.tif,41,12,wbc\n002.tif,5,11,rbc\n")
    found = read_boxes([table])
    sample = Sample("s", "p", None, (Frame(tmp_path / "001.tif"),))
    file = AnnotationFile(tmp_path / "annotations.sqlite")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = finished(import_boxes([sample], file, found, "cells.csv"))
    assert outcome.counts.added == 0
    assert outcome.left_out[0] == LeftOut(
        "boxes of wbc", "", "they are no red cells by their class"
    )
