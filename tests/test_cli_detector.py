"""`attmil finetune` and `attmil queue`, as a person would type them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_attmil import cli
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.project import AnnotationFile, Annotations
from napari_attmil.checkpoints import load_checkpoint
from napari_attmil.images.reading import open_cohort
from napari_attmil.images.simulation import SimulationSettings, simulate_image

if TYPE_CHECKING:
    from pathlib import Path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["attmil", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
        sys.exit(0)
    return int(stopped.value.code or 0)


def test_a_coco_file_makes_a_detector(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SimulationSettings(image_size_px=128, cells_per_image=4)
    field = simulate_image(settings, np.random.default_rng(0))
    tifffile.imwrite(tmp_path / "a.tif", field.image)
    sides = field.xyxy[:, 2:] - field.xyxy[:, :2]
    content = {
        "images": [{"id": 1, "file_name": "a.tif"}],
        "annotations": [
            {"image_id": 1, "bbox": box}
            for box in np.hstack([field.xyxy[:, :2], sides]).astype(float).tolist()
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), "utf-8")
    out = tmp_path / "w.safetensors"
    assert run(monkeypatch, "finetune", tmp_path / "coco.json", "--out", out, "--steps", 1) == 0
    assert str(out) in capsys.readouterr().out
    assert load_checkpoint(out, "detector").provenance["data"] == "fine-tuned on 1 reviewed images"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of three images: one unsure, one sure, one seen by a person."""
    folder = tmp_path / "healthy" / "p1" / "s1"
    folder.mkdir(parents=True)
    for name in "abc":
        tifffile.imwrite(folder / f"{name}.tif", np.zeros((20, 30), np.uint8))
    (sample,) = open_cohort(tmp_path).samples
    boxes = Boxes.from_detections([0, 1, 2], [[1, 2, 9, 8]] * 3, [0.9, 0.6, 0.55])
    seen = np.array([Source.MODEL, Source.MODEL, Source.PERSON])
    boxes = Boxes(boxes.cell_id, boxes.image_index, boxes.xyxy, boxes.score, seen)
    annotations = Annotations(boxes, Boxes.empty(), True, 4, frozenset())
    AnnotationFile.beside(tmp_path).write(sample, annotations)
    return tmp_path


def test_the_queue_names_the_most_doubtful_image_first(
    monkeypatch: pytest.MonkeyPatch, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "queue", project) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(doubt, path[-5:]) for doubt, path, _ in lines] == [
        ("0.400", "b.tif"),
        ("0.100", "a.tif"),
        ("0.000", "c.tif"),
    ]


def test_nothing_reviewed_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "finetune", project, "--out", project / "w.safetensors") == 1
    assert "marked as reviewed" in capsys.readouterr().err
