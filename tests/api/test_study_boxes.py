"""Functions about a study's boxes: import, export, two people's work, fitting the detector."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_attmil as attmil
from napari_attmil import workflows
from napari_attmil.cells.finetuning import detector_in_use, use_detector
from napari_attmil.workflows.finetune import Finetuning

if TYPE_CHECKING:
    from napari_attmil.workflows import Stage


@pytest.fixture
def study(place: Path, tmp_path: Path) -> Path:
    """Return a copy of the study, all images of which are reviewed."""
    return shutil.copytree(place / "study", tmp_path / "study")


def test_export_has_every_reviewed_box(study: Path, tmp_path: Path) -> None:
    notes = attmil.export_boxes(study, tmp_path / "boxes.json")
    coco = json.loads((tmp_path / "boxes.json").read_text())
    truth = (study / "truth.csv").read_text().splitlines()
    assert len(coco["annotations"]) == len(truth) - 1
    assert all(image["reviewed"] for image in coco["images"])
    assert all(isinstance(note, str) for note in notes)


def test_import_says_first_what_would_come_in(study: Path, tmp_path: Path) -> None:
    image = attmil.open_cohort(study)[0].frames[0].path.relative_to(study).as_posix()
    (tmp_path / "more.csv").write_text(f"image,x_min,y_min,x_max,y_max\n{image},150,5,190,45\n")
    planned = attmil.import_boxes(study, tmp_path / "more.csv", dry_run=True)
    before = attmil.Study.of(attmil.open_cohort(study)).annotations
    done = attmil.import_boxes(study, tmp_path / "more.csv")
    after = attmil.Study.of(attmil.open_cohort(study)).annotations
    name = attmil.open_cohort(study)[0].name
    assert len(after[name].boxes) == len(before[name].boxes) + 1
    assert planned.in_words() == done.in_words()


def test_an_import_of_checked_files_takes_back_what_they_have_no_more(tmp_path: Path) -> None:
    settings = attmil.SimulationSettings.checked(
        classes=("healthy", "sickle"),
        patients_per_class=1,
        samples_per_patient=1,
        images_per_sample=1,
        image_size_px=224,
        cells_per_image=9,
    )
    study = attmil.simulate(tmp_path / "study", settings)
    attmil.detect(study, tmp_path / "cells.csv", device="cpu")
    lines = (tmp_path / "cells.csv").read_text().splitlines()
    attmil.import_boxes(study, tmp_path / "cells.csv")
    (tmp_path / "fewer.csv").write_text("\n".join([*lines[:1], *lines[2:]]))
    planned = attmil.import_boxes(study, tmp_path / "fewer.csv", reviewed=True, dry_run=True)
    told = "; 1 box of the detector that the file does not have was removed; 2 images count as"
    assert told in planned.in_words()
    done = attmil.import_boxes(study, tmp_path / "fewer.csv", reviewed=True)
    assert done.as_json()["removed"] == planned.counts.removed == 1
    after = attmil.Study.of(attmil.open_cohort(tmp_path / "study")).annotations
    assert sum(len(each.boxes) for each in after.values()) == len(lines) - 2
    assert sum(len(each.deleted) for each in after.values()) == 1


def test_merge_and_agreement_of_equal_copies_find_no_difference(
    study: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(study, tmp_path / "copy")
    merged = attmil.merge(study, copy, tmp_path / "both")
    assert [one.conflicts for one in merged] == [()] * 6
    assert "1.000" in attmil.agreement(study, copy)


def test_an_odd_box_is_named(study: Path, tmp_path: Path) -> None:
    sample = attmil.open_cohort(study)[0]
    image = sample.frames[0].path.relative_to(study).as_posix()
    (tmp_path / "odd.csv").write_text(f"image,x_min,y_min,x_max,y_max\n{image},0,0,224,224\n")
    before = attmil.odd_boxes(study)
    attmil.import_boxes(study, tmp_path / "odd.csv")
    (odd,) = [box for box in attmil.odd_boxes(study) if box not in before]
    assert odd.sample == sample.name and "times the diameter" in odd.reason


def test_finetune_returns_the_detector_that_it_writes(study: Path, tmp_path: Path) -> None:
    out, short = tmp_path / "detector.safetensors", attmil.FinetuneSettings(steps=2)
    steps: list[object] = []
    detector = attmil.finetune(study, out, short, device="cpu", on_progress=steps.append)
    assert out.is_file() and len(steps) > 2
    assert detector.digest == attmil.Detector.load(out).digest
    assert detector.digest != attmil.Detector.load().digest
    image = attmil.read_images(attmil.open_cohort(study)[0])[0]
    assert np.all(detector.detect(image).score >= 0.5)


def test_a_stop_before_the_first_detector_returns_no_older_one(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Stage[Finetuning]:
        yield attmil.Progress(0, 0)
        return Finetuning(None, False)

    monkeypatch.setattr(workflows, "finetune_study", stopped)
    shipped = Path(attmil.__file__).parent / "weights" / "detector.safetensors"
    out = shutil.copy(shipped, tmp_path / "detector.safetensors")
    with pytest.raises(attmil.UserError, match="There is no detector"):
        attmil.finetune(study, out, device="cpu")


def test_detector_in_use_is_not_replaced_by_its_successor(study: Path) -> None:
    settings = attmil.FinetuneSettings(steps=2)
    attmil.finetune(study, study / "models" / "first.safetensors", settings, device="cpu")
    use_detector(study, study / "models" / "first.safetensors")
    used = detector_in_use(study)
    assert used is not None
    before = used.read_bytes()
    with pytest.raises(attmil.UserError, match="is what the command reads"):
        attmil.finetune(study, used, settings, device="cpu")
    assert used.read_bytes() == before


def test_import_of_nothing_is_refused(study: Path, tmp_path: Path) -> None:
    rows = "image,x_min,y_min,x_max,y_max\nelsewhere.tif,1,1,9,9\n"
    (tmp_path / "other.csv").write_text(rows)
    for dry_run in (True, False):
        with pytest.raises(attmil.UserError, match="Nothing was imported"):
            attmil.import_boxes(study, tmp_path / "other.csv", dry_run=dry_run)


def test_repair_of_a_whole_file_loses_nothing(study: Path) -> None:
    before = attmil.Study.of(attmil.open_cohort(study)).annotations
    assert attmil.repair(study).lost_edits == 0
    after = attmil.Study.of(attmil.open_cohort(study)).annotations
    assert {name: len(kept.boxes) for name, kept in before.items()} == {
        name: len(kept.boxes) for name, kept in after.items()
    }
