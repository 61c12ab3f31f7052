"""napari saves a layer of boxes as a table, or as other programs read boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile
from npe2 import PluginManager, PluginManifest

import napari_attmil
from napari_attmil.cells.annotations.notes import Note
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.reading import open_sample
from napari_attmil.session.session import Session
from napari_attmil.widgets.viewer.boxes_writer import write_boxes
from napari_attmil.widgets.viewer.image_choice import ImageChoice
from napari_attmil.widgets.viewer.layers import CellsLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel


def test_boxes_are_written_in_pixels_with_their_ids(tmp_path: Path) -> None:
    box = np.array([[1, 10, 20], [1, 10, 50], [1, 40, 50], [1, 40, 20]], dtype=float)
    features = pd.DataFrame({"cell_id": [7, 4], "score": [0.5, 1.0]})
    path = str(tmp_path / "boxes.csv")
    meta = {"features": features, "scale": [1, 0.5, 0.5], "name": "Cells"}
    assert write_boxes(path, [box, box + 1], meta) == [path]
    table = pd.read_csv(path)
    assert table["cell_id"].tolist() == [7, 4] and table["frame"].tolist() == [1, 2]
    assert table[["x_min", "y_min", "x_max", "y_max"]].to_numpy()[0].tolist() == [20, 10, 50, 40]


def test_shapes_of_another_origin_are_numbered(tmp_path: Path) -> None:
    box = np.array([[10, 20], [10, 50], [40, 50], [40, 20]], dtype=float)
    write_boxes(str(tmp_path / "boxes.csv"), [box, box + 5], {})
    table = pd.read_csv(tmp_path / "boxes.csv")
    assert table["cell_id"].tolist() == [1, 2] and table["frame"].tolist() == [0, 0]


def test_no_shapes_give_a_table_without_rows(tmp_path: Path) -> None:
    write_boxes(str(tmp_path / "boxes.csv"), [], {"name": "Cells"})
    assert len(pd.read_csv(tmp_path / "boxes.csv")) == 0


@pytest.fixture
def saved(viewer: ViewerModel, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Return a function that saves the layer of a study's sample with two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "ab":
        tifffile.imwrite(folder / f"{name}.tif", np.zeros((40, 60), np.uint8))
    session = Session()
    cells = CellsLayer(viewer, session)
    choice = ImageChoice(viewer, session, cells)
    choice.use_cohort(Cohort((open_sample(folder),), folder))

    def save(name: str, *image_indices: int, noted: bool = False) -> None:
        session.editor.clear()
        rows = [[1, 2, 9, 8]] * len(image_indices)
        session.editor.merge(Boxes.from_detections(image_indices, rows, [0.5] * len(rows)))
        if noted:
            first = session.boxes.cell_id[:1]
            session.notes.tag(first, "odd")
            session.notes.write(first, "=two nuclei")
            session.notes.set_value(first, "stage", "3")
        data, meta, _ = cells.layer.as_layer_data_tuple()
        assert write_boxes(str(tmp_path / name), data, meta) == [str(tmp_path / name)]

    yield save
    choice.stop_listening()
    cells.stop_listening()


@pytest.mark.parametrize(
    ("name", "suffix"), [("COCO", "json"), ("Pascal VOC", "xml"), ("YOLO", "txt")]
)
def test_each_format_is_told_by_the_suffix_and_read_again(
    name: str, suffix: str, saved: Callable[..., None], tmp_path: Path
) -> None:
    saved(f"a.{suffix}", 0)
    found = read_boxes([tmp_path / f"a.{suffix}"])
    assert found.format_name == name
    (image,) = found.images
    (box,) = image.in_pixels((60, 40)).boxes
    np.testing.assert_allclose(box.xyxy, [1, 2, 9, 8], atol=1e-3)


def test_a_coco_file_names_the_images_of_the_study(
    saved: Callable[..., None], tmp_path: Path
) -> None:
    saved("boxes.json", 0, 1)
    content = json.loads((tmp_path / "boxes.json").read_text("utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["images/a.tif", "images/b.tif"]
    assert [image["width"] for image in content["images"]] == [60, 60]


def test_a_table_and_a_coco_file_hold_what_is_noted(
    saved: Callable[..., None], tmp_path: Path
) -> None:
    saved("boxes.csv", 0, 1, noted=True)
    table = pd.read_csv(tmp_path / "boxes.csv")
    assert table["tags"].fillna("").tolist() == ["odd", ""]
    assert table["note"][0] == "'=two nuclei" and table["stage"][0] == 3
    saved("boxes.json", 0, noted=True)
    ((box,),) = (image.boxes for image in read_boxes([tmp_path / "boxes.json"]).images)
    assert box.note == Note(0, ("odd",), "=two nuclei", (("stage", "3"),))


@pytest.mark.parametrize("suffix", ["csv", "json", "xml", "txt"])
def test_napari_offers_each_suffix_for_a_layer_of_shapes(suffix: str) -> None:
    manager = PluginManager()
    manager.register(
        PluginManifest.from_file(Path(napari_attmil.__file__).with_name("napari.yaml"))
    )
    writer, _ = manager.get_writer(f"boxes.{suffix}", ["shapes"], "napari-attmil")
    assert writer is not None and writer.command == "napari-attmil.write_boxes"


@pytest.mark.parametrize("name", ["boxes.xml", "boxes.txt"])
def test_a_format_of_one_image_refuses_several_in_one_sentence(
    name: str, saved: Callable[..., None]
) -> None:
    with pytest.raises(UserError, match="boxes of one image, but there are boxes in 2; save as"):
        saved(name, 0, 1)


def test_yolo_refuses_boxes_whose_image_has_no_known_size(tmp_path: Path) -> None:
    box = np.array([[10, 20], [10, 50], [40, 50], [40, 20]], dtype=float)
    with pytest.raises(UserError, match="the size of Cells is not known; save as"):
        write_boxes(str(tmp_path / "a.txt"), [box], {"name": "Cells"})
