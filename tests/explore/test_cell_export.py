from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.predictions import prediction

from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.annotations.notes import Note
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.core.errors import UserError
from napari_attmil.explore.cell_export import cell_table, write_cells
from napari_attmil.images.cohort import Frame, Sample

SAMPLE = Sample("s", "p", None, (Frame(Path("a/stack.tif"), 0), Frame(Path("a/stack.tif"), 1)))
BOXES = Boxes.from_detections([1, 0], [[1, 2, 3.25, 4], [10.0, 20, 30, 40]], [0.5, 0.25])
COLUMNS = ["image", "frame", "cell_id", "x_min", "y_min", "x_max", "y_max", "score", "source"]


def test_one_row_a_cell_ordered_by_image() -> None:
    table = cell_table(SAMPLE, BOXES)
    assert list(table.columns) == COLUMNS
    assert table["cell_id"].tolist() == [2, 1]
    assert table["frame"].tolist() == [0, 1]
    assert table["image"].tolist() == [str(Path("a/stack.tif"))] * 2
    assert table[["x_min", "y_min", "x_max", "y_max"]].to_numpy()[1].tolist() == [1, 2, 3.25, 4]
    assert table["score"].tolist() == [0.25, 0.5]


def test_a_table_keeps_who_made_a_box_when_it_is_read_as_boxes(tmp_path: Path) -> None:
    boxes = replace(BOXES, source=np.array([Source.MODEL, Source.PERSON], np.uint8))
    write_cells(tmp_path / "cells.csv", [cell_table(SAMPLE, boxes)])
    images = read_boxes([tmp_path / "cells.csv"]).images
    assert [(image.page, image.boxes[0].source) for image in images] == [
        (0, Source.PERSON),
        (1, Source.MODEL),
    ]


def test_prediction_is_matched_by_cell_id_not_by_position() -> None:
    table = cell_table(SAMPLE, BOXES, prediction([1, 2], [0.9, 0.1], [[1, 2], [3, 4]]))
    assert table["cell_id"].tolist() == [2, 1]
    assert table["attention"].tolist() == [0.1, 0.9]
    assert table["contribution_sickle"].tolist() == [4, 2]


def test_cell_newer_than_the_prediction_is_left_empty() -> None:
    table = cell_table(SAMPLE, BOXES, prediction([1], [1.0], [[1, 2]]))
    assert np.isnan(table["attention"][0]) and table["attention"][1] == 1
    assert np.isnan(table["contribution_healthy"][0])


def test_cell_that_was_moved_since_is_left_empty_though_it_keeps_its_id() -> None:
    said = prediction([1, 2], [0.9, 0.1], [[1, 2], [3, 4]])
    now = move_box(BOXES, 1, [5, 2, 8, 4])
    table = cell_table(SAMPLE, now, said, classified=BOXES)
    np.testing.assert_array_equal(table["attention"], [0.1, np.nan])
    np.testing.assert_array_equal(table["contribution_sickle"], [4, np.nan])
    assert table.loc[1, "x_min"] == 5


def test_no_cells_give_a_table_with_all_columns() -> None:
    table = cell_table(SAMPLE, Boxes.empty())
    assert list(table.columns) == COLUMNS and len(table) == 0


def test_written_file_is_read_back_the_same(tmp_path: Path) -> None:
    table = cell_table(SAMPLE, BOXES, prediction([1, 2], [0.123456, 1e-7], [[1, -2], [3, 4]]))
    write_cells(tmp_path / "cells.csv", [table, table])
    back = pd.read_csv(tmp_path / "cells.csv")
    pd.testing.assert_frame_equal(
        back, pd.concat([table, table], ignore_index=True), check_dtype=False
    )


def test_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        write_cells(tmp_path / "file" / "cells.csv", [cell_table(SAMPLE, BOXES)])


def test_parquet_holds_what_the_table_does(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = cell_table(SAMPLE, BOXES)
    write_cells(tmp_path / "cells.parquet", [table])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cells.parquet"), table)


def test_parquet_without_its_library_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_attmil.explore.cell_export.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"napari-attmil\[parquet\].*\.csv"):
        write_cells(tmp_path / "cells.parquet", [cell_table(SAMPLE, BOXES)])
    assert not list(tmp_path.iterdir())


def test_a_folder_s_name_is_no_formula_in_the_table(tmp_path: Path) -> None:
    table = cell_table(SAMPLE, BOXES).assign(image="=1+1", offset=-2.5)
    write_cells(tmp_path / "cells.csv", [table])
    read = pd.read_csv(tmp_path / "cells.csv")
    assert set(read["image"]) == {"'=1+1"}
    assert set(read["offset"]) == {-2.5}
    assert set(table["image"]) == {"=1+1"}


def test_what_is_noted_about_cells_is_in_the_table_only_if_there_is_anything() -> None:
    notes = {1: Note(0, ("a", "b"), "Seen.", (("stage", "2"), ("who", "me"))), 7: Note(text="x")}
    table = cell_table(SAMPLE, BOXES, notes=notes)
    row = table[table["cell_id"] == 1].iloc[0]
    assert (row["tags"], row["note"], row["stage"], row["who"]) == ("a; b", "Seen.", 2.0, "me")
    other = table[table["cell_id"] == 2].iloc[0]
    assert (other["tags"], other["note"], other["who"]) == ("", "", "") and np.isnan(other["stage"])
    assert "tags" not in cell_table(SAMPLE, BOXES, notes={7: Note(text="x")})
