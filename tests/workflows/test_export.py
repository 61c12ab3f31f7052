"""Exports with outlines read the images; others do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import Annotations
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.workflows import planned_export

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def study(tmp_path: Path) -> tuple[Cohort, dict[str, Annotations]]:
    """Return an image of one dark disc, with a box around it and one around nothing."""
    y, x = np.mgrid[:120, :160] + 0.5
    image = 200 - 80.0 * (np.hypot(x - 40, y - 50) < 20)
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    tifffile.imwrite(tmp_path / "a.tif", (image + noise).astype(np.uint8))
    sample = Sample("s", "s", None, (Frame(tmp_path / "a.tif"),))
    boxes = Boxes.from_detections([0, 0], [[20, 30, 60, 70], [100, 60, 140, 100]], [0.9, 0.8])
    return Cohort((sample,), tmp_path), {"s": Annotations(boxes)}


def test_labels_hold_the_pixels_of_each_cell(
    study: tuple[Cohort, dict[str, Annotations]], tmp_path: Path
) -> None:
    plan = planned_export(*study, tmp_path / "masks", "labels")
    plan.write()
    labels = tifffile.imread(tmp_path / "masks" / "a_masks.tif")
    assert labels.shape == (120, 160)
    assert (labels == 1).sum() == pytest.approx(np.pi * 20**2, rel=0.08)
    assert plan.notes[0].startswith("No outline fits the box of 1 cell;")


def test_coco_has_polygons_only_where_they_are_asked_for(
    study: tuple[Cohort, dict[str, Annotations]], tmp_path: Path
) -> None:
    def polygons(format_name: str) -> list[int]:
        out = tmp_path / f"{format_name}.json"
        planned_export(*study, out, format_name).write()
        return [len(each["segmentation"]) for each in json.loads(out.read_text())["annotations"]]

    assert polygons("coco-outlines") == [1, 0]
    assert polygons("coco") == [0, 0]
