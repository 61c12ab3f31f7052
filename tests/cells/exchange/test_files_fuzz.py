"""Damaged files of every format give boxes or one sentence, never anything else.

`NAPARI_ATTMIL_FUZZ_CASES=10000 pytest tests/cells/exchange/test_files_fuzz.py` tries so many.
"""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells.exchange.account import Account, in_sentences
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage
from napari_attmil.cells.exchange.coco import write_coco
from napari_attmil.cells.exchange.csv_tables import write_csv
from napari_attmil.cells.exchange.files import read_boxes
from napari_attmil.cells.exchange.qupath import write_geojson
from napari_attmil.cells.exchange.study_boxes import only_cells
from napari_attmil.cells.exchange.voc import write_voc
from napari_attmil.cells.exchange.yolo import write_yolo
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

CASES = int(os.environ.get("NAPARI_ATTMIL_FUZZ_CASES", "200"))

_BOXES = (AnnotatedBox((1.5, 2, 11, 12), cell_id=3), AnnotatedBox((20, 2, 30.25, 12), score=0.5))
_IMAGE = AnnotatedImage("s1/a.png", _BOXES, size_px=(100, 80), reviewed=True)
SOUND = {
    "a.json": write_coco([_IMAGE]),
    "tasks.json": '[{"id": 1, "data": {"image": "/data/upload/1/a.png"}, "annotations": [{"result":'
    ' [{"type": "rectanglelabels", "original_width": 100, "original_height": 80, "value": {"x": 1,'
    ' "y": 2, "width": 3, "height": 4, "rotation": 9, "rectanglelabels": ["RBC"]}}]}]}]',
    "a.xml": write_voc(_IMAGE),
    "annotations.xml": '<annotations><image id="0" name="a.png" width="100" height="80"><box '
    'label="RBC" xtl="1" ytl="2" xbr="11" ybr="12"/></image></annotations>',
    "a.csv": write_csv([_IMAGE]),
    "a.geojson": write_geojson(_IMAGE),
    "labelme.json": '{"version": "5", "imagePath": "a.png", "imageWidth": 100, "imageHeight": 80, '
    '"shapes": [{"label": "RBC", "shape_type": "polygon", "points": [[1, 2], [9, 2], [9, 8]]}]}',
    "createml.json": '[{"image": "a.png", "annotations": [{"label": "RBC", "coordinates": {"x": 9, '
    '"y": 9, "width": 4, "height": 5}}]}]',
    "a.txt": write_yolo(_IMAGE),
}
HOSTILE = (
    *("nan", "inf", "-1", "1e999", "9" * 400, "0" * 5000, "null", "true", '""', "[]", "{}", "\0"),
    *("<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<a>" * 2000, "[" * 5000, "\ufeff", '"', ",", "\n"),
)


def damaged(text: str, rng: np.random.Generator) -> bytes:
    """Cut, doubled, with bytes changed, or with something hostile in the place of a word."""
    raw = bytearray(text.encode())
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(rng.integers(0, len(raw) + 1, 2).tolist())
        match rng.integers(5):
            case 0:
                del raw[start:]
            case 1:
                del raw[start : start + 8]
            case 2:
                raw[start:start] = raw[start : min(end, start + 200)]
            case 3 if start < len(raw):
                raw[start] = int(rng.integers(256))
            case _:
                piece = HOSTILE[rng.integers(len(HOSTILE))].encode()
                raw[start : start + int(rng.integers(6))] = piece
    return bytes(raw)


def test_damaged_files_give_boxes_or_one_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(CASES):
        name = list(SOUND)[number % len(SOUND)]
        (tmp_path / name).write_bytes(damaged(SOUND[name], rng))
        try:
            only_cells(read_boxes([tmp_path / name]).images)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
            assert len(str(error)) < 700
    assert refused > CASES / 10


def test_an_archive_with_a_file_of_no_name_is_read_without_it(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "nothing")
        archive.writestr("a.json", SOUND["a.json"])
        archive.filelist[0].filename = ""
    assert read_boxes([path]).box_count == 2


def test_a_name_of_thousands_of_characters_is_cut_in_what_is_told() -> None:
    account = Account()
    account.leave_out("line 1", "it is 0 wide", "a\n" * 5000)
    (sentence,) = in_sentences(account.left_out)
    assert len(sentence) < 200 and "\n" not in sentence and "…" in sentence
