"""`attmil detect`, `train`, `classify` and what follows, on a small simulated study."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from pypdf import PdfReader

from napari_attmil import workflows
from napari_attmil.cells.annotations.annotation_file import AnnotationFile, Annotations
from napari_attmil.cells.annotations.corrections import with_corrections
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.cli.options import DetectionOptions
from napari_attmil.cli.terminal import say_healthy_class
from napari_attmil.images.reading import open_cohort


def test_detect_writes_one_row_a_cell(attmil: Any, study: Path, tmp_path: Path) -> None:
    image = next(study.rglob("*.tif"))
    out = tmp_path / "cells.csv"
    outcome = attmil("detect", image, "--out", out, "--device", "cpu")
    assert outcome.code == 0
    cells = pd.read_csv(out)
    assert list(cells) == [
        "image",
        "frame",
        "cell_id",
        "x_min",
        "y_min",
        "x_max",
        "y_max",
        "score",
        "source",
    ]
    assert set(cells["image"]) == {str(image)}
    assert len(cells) >= 5
    assert cells["score"].min() >= 0.5
    assert f"{len(cells)} cells in 1 image written" in outcome.out


def test_only_a_region_is_searched_and_a_plan_says_what_all_takes(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    image = next(study.rglob("*.tif"))
    asked = ("detect", image, "--device", "cpu", "--out")
    assert attmil(*asked, tmp_path / "all.csv").code == 0
    assert attmil(*asked, tmp_path / "part.csv", "--region", "0,0,150,400").code == 0
    whole, part = (pd.read_csv(tmp_path / name) for name in ("all.csv", "part.csv"))
    centre = (whole["x_min"] + whole["x_max"]) / 2
    assert 0 < len(part) < len(whole)
    assert abs(len(part) - int((centre < 150).sum())) <= 1
    assert ((part["x_min"] + part["x_max"]) / 2 < 150).all()
    outcome = attmil(*asked, tmp_path / "none.csv", "--plan")
    assert outcome.code == 0 and not (tmp_path / "none.csv").exists()
    assert re.search(r"About \d+ cells in \d+ parts?: about \d+ s, [\d.]+ GB of", outcome.err)
    refused = attmil(*asked, tmp_path / "none.csv", "--region", "5,5,1,1")
    assert refused.code == 1 and "x1 > x0" in refused.err


def test_samples_that_a_region_lies_outside_of_are_left_out_of_a_detection(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    small, image = tmp_path / "small.tif", next(study.rglob("*.tif"))
    tifffile.imwrite(small, np.full((40, 50), 200, np.uint8))
    asked = ("detect", small, image, "--device", "cpu", "--out", tmp_path / "cells.csv")
    outcome = attmil(*asked, "--region", "60,0,300,400")
    assert outcome.code == 0
    assert "Left out, as the region lies outside of their images: small" in outcome.err
    assert set(pd.read_csv(tmp_path / "cells.csv")["image"]) == {str(image)}
    refused = attmil(*asked, "--region", "9000,0,9500,400")
    assert refused.code == 1 and "9000,0,9500,400 lies outside of all 2 images" in refused.err


def test_a_detection_measures_the_cell_size_once_for_plan_and_search(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, measured = Detector.measure_cell_size, []

    def counted(*args: Any) -> Any:
        measured.append(measure(*args))
        return measured[-1]

    monkeypatch.setattr(Detector, "measure_cell_size", counted)
    monkeypatch.setattr(workflows, "is_worth_a_plan", lambda *_: True)
    image = next(study.rglob("*.tif"))
    outcome = attmil("detect", image, "--device", "cpu", "--out", tmp_path / "cells.csv")
    assert outcome.code == 0 and "GB of memory" in outcome.err
    # A plan tries a part with the diameter that is known by then.
    assert len(measured) == 1 and len(pd.read_csv(tmp_path / "cells.csv")) >= 5


def test_a_detection_is_imported_as_the_detector_s(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(study, tmp_path / "study")
    image = next(copy.rglob("*.tif"))
    attmil("detect", image, "--out", tmp_path / "cells.csv")
    assert "added in 1 image" in attmil("import", copy, tmp_path / "cells.csv").out
    (kept,) = AnnotationFile.beside(copy).read_all(open_cohort(copy).samples).values()
    assert len(kept.boxes) and set(kept.boxes.source) == {Source.MODEL}
    no_cells = Boxes.empty()  # a later detection that finds none leaves nothing of it
    assert len(with_corrections(no_cells, kept)) == 0


def test_a_stack_has_its_frames_in_the_table(attmil: Any, study: Path, tmp_path: Path) -> None:
    images = [tifffile.imread(path) for path in sorted(study.rglob("*.tif"))[:2]]
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(images), photometric="minisblack")
    attmil("detect", tmp_path / "stack.tif", "--out", tmp_path / "c.csv")
    assert sorted(pd.read_csv(tmp_path / "c.csv")["frame"].unique()) == [0, 1]


def test_train_then_classify_names_classes_and_cells(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    options = ("--epochs", 2, "--members", 2)
    trained = attmil("train", study, "--out", model, *options)
    assert trained.code == 0
    assert "2 models, calibrated on 6 held-out patients, all classes" in trained.out
    sample = study / "sickle"
    out, report = tmp_path / "cells.csv", tmp_path / "report.json"
    classified = attmil("classify", model, sample, "--out", out, "--report", report)
    assert classified.code == 0
    cells = pd.read_csv(out)
    assert {"attention", "contribution_healthy", "contribution_sickle"} <= set(cells)
    samples = json.loads(report.read_text())["samples"]
    assert len(samples) == 3
    assert sum(samples[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    of_first = cells[cells["image"].str.contains(Path(samples[0]["sample"]).name, regex=False)]
    assert of_first["attention"].sum() == pytest.approx(1, abs=1e-3)
    assert len(samples[0]["model_probabilities"]) == 2
    assert samples[0]["abstains"] and samples[0]["coverage"] == 0.9
    # Six patients cannot rule out a class at 90 %: that is said of every sample, and why.
    assert classified.out.count("Undecided: no class can be ruled out at 90%") == 3
    assert "needs 9 patients to calibrate with" in classified.out
    assert "not a diagnosis" in classified.out
    assert "All classes are taken to be equally frequent." in classified.out
    check_prior(attmil, model, sample, samples, tmp_path)
    page, rare = tmp_path / "report.html", ("--prior", "healthy=9", "--prior", "sickle=1")
    assert attmil("report", model, sample, "--out", page, *rare).code == 0
    html = page.read_text("utf-8")
    assert "Classes are taken to be as frequent as given: healthy 90%, sickle 10%." in html
    assert hashlib.sha256(model.read_bytes()).hexdigest() in html
    assert all(f"<h2>{escape(found['sample'])}</h2>" in html for found in samples)
    check_cell(attmil, model, sorted(path for path in sample.iterdir() if path.is_dir()), cells)
    document = tmp_path / "report.pdf"
    assert attmil("report", model, study, "--by-class", "--out", document).code == 0
    text = "".join(page.extract_text() for page in PdfReader(document).pages)
    assert "Class sickle" in text
    assert "No patient can be compared" in " ".join(text.split())
    assert attmil("report", model, study, study, "--by-class", "--out", page).code == 1
    shapes = attmil("shapes", model, study, "--out", out)
    assert shapes.code == 0
    measured = pd.read_csv(out)
    assert measured["patient"].nunique() == 6
    assert measured["equivalent_diameter_um"].median() == pytest.approx(7.8, abs=1.5)
    assert "No patient can be compared" in shapes.out


def check_prior(
    attmil: Any, model: Path, sample: Path, plain: list[dict[str, Any]], folder: Path
) -> None:
    """Check that probabilities follow the frequencies given, and that these are said."""
    prior, report = ("--prior", "healthy=0.9", "--prior", "sickle=0.1"), folder / "rare.json"
    files = ("--out", folder / "rare.csv", "--report", report)
    classified = attmil("classify", model, sample, *files, *prior)
    assert "as frequent as given: healthy 90%, sickle 10%." in classified.out
    assert "What is ruled out does not follow these frequencies" in classified.out
    for before, after in zip(plain, json.loads(report.read_text())["samples"], strict=True):
        odds, rarer = (
            one["probabilities"]["healthy"] / one["probabilities"]["sickle"]
            for one in (before, after)
        )
        assert rarer / odds == pytest.approx(9, rel=1e-3)
        assert after["class_frequencies"]["taken"] == {"healthy": 0.9, "sickle": 0.1}
        assert after["prediction_set"][0] == after["predicted"]
    unfit = attmil("classify", model, sample, *files, "--prior", "healthy=0.9")
    assert unfit.code == 1 and "give each of these one" in unfit.err


def check_cell(attmil: Any, model: Path, samples: list[Path], cells: pd.DataFrame) -> None:
    """One cell's page says what the table of cells does, and names cells of the other samples."""
    of_first = cells[cells["image"].str.startswith(f"{samples[0]}{os.sep}")]
    highest = of_first.iloc[int(of_first["attention"].to_numpy().argmax())]
    asked = attmil("cell", model, *samples, "--cell", highest["cell_id"])
    assert asked.code == 0
    assert f"Cell {highest['cell_id']} in image " in asked.out
    assert f"1st of {len(of_first)} in attention ({highest['attention']:.1%}" in asked.out
    assert asked.out.count(", without the cell ") == 2
    assert asked.out.count("Similar: cell ") == 2 and "not a diagnosis" in asked.out
    assert "focus: " in asked.out
    wrong = attmil("cell", model, samples[0], "--cell", 999)
    assert wrong.code == 1 and "has no cell 999: its cells are 1 to" in wrong.err
    several = attmil("cell", model, samples[0].parent, "--cell", 1)
    assert several.code == 1 and "holds 3 samples" in several.err


def test_a_sample_without_cells_is_left_out_and_does_not_cost_the_others(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    model, blank = tmp_path / "model.safetensors", tmp_path / "blank.tif"
    options = ("--epochs", 1, "--members", 1, "--no-calibrate")
    assert attmil("train", study, "--out", model, *options).code == 0
    tifffile.imwrite(blank, np.full((224, 224), 128, np.uint8))
    image, out, page = next(study.rglob("*.tif")), tmp_path / "cells.csv", tmp_path / "r.html"
    for command in (("classify", "--out", out), ("report", "--out", page)):
        both = attmil(command[0], model, blank, image, *command[1:])
        assert both.code == 0
        assert "Sample 'blank' has no cells and was left out." in both.err
        alone = attmil(command[0], model, blank, *command[1:])
        assert alone.code == 1
        assert "No cell was found in any sample" in alone.err
    assert set(pd.read_csv(out)["image"]) == {str(image)}
    assert f"<h2>{image.stem}</h2>" in page.read_text("utf-8")


def test_a_classification_uses_the_boxes_that_a_person_left(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    sample = open_cohort(copy).samples[0]
    images = np.arange(len(sample.frames))
    boxes = Boxes.from_detections(images, [[5, 5, 30, 30]] * len(images), [0.9] * len(images))
    kept = Annotations(boxes, searched=frozenset({0}), next_id=99)
    AnnotationFile.beside(copy).write(sample, kept)
    model = tmp_path / "model.safetensors"
    options = ("--epochs", 1, "--members", 1, "--no-calibrate")
    assert attmil("train", copy, "--out", model, *options).code == 0
    out = tmp_path / "cells.csv"
    folder = sample.frames[0].path.parent
    assert attmil("classify", model, folder, "--out", out).code == 0
    cells = pd.read_csv(out)
    own = cells[cells["image"].isin([str(frame.path) for frame in sample.frames])]
    assert own[["x_min", "y_min", "x_max", "y_max"]].drop_duplicates().to_numpy().tolist() == [
        [5, 5, 30, 30]
    ]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (None, {}),
        ("50", {"cell_diameter_px": 50}),
        ("48.5px", {"cell_diameter_px": 48.5}),
        ("7.5um", {"cell_diameter_um": 7.5}),
        ("8 µm", {"cell_diameter_um": 8}),
    ],
)
def test_a_cell_diameter_is_in_pixels_or_micrometres(
    text: str | None, settings: dict[str, float]
) -> None:
    options = DetectionOptions(min_score=0.4, cell_diameter=text)
    assert options.settings == DetectionSettings(min_score=0.4, **settings)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("", "Healthy class: healthy"), ("sickle", "Healthy class: sickle")],
)
def test_which_class_counts_as_healthy_is_said(
    wanted: str, told: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_healthy_class(open_cohort(study), wanted)
    assert capsys.readouterr().err.strip() == told


@pytest.mark.real_data
def test_the_cells_of_a_real_smear_are_found(attmil: Any, real_data: Path, tmp_path: Path) -> None:
    image = real_data / "chula" / "smears" / "hs" / "1.jpg"
    attmil("detect", image, "--out", tmp_path / "c.csv")
    assert 55 <= len(pd.read_csv(tmp_path / "c.csv")) <= 110


def test_images_of_different_sizes_in_one_folder_are_searched(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    image = tifffile.imread(next(study.rglob("*.tif")))
    folder = tmp_path / "mixed"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", image)
    tifffile.imwrite(folder / "b.tif", image[:200, :180])
    outcome = attmil("detect", folder, "--out", tmp_path / "c.csv", "--device", "cpu")
    assert outcome.code == 0 and "in 2 images" in outcome.out
