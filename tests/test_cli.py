from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile
from pypdf import PdfReader

from napari_attmil import cli
from napari_attmil.cli.options import detection_settings
from napari_attmil.cli.stages import method_names
from napari_attmil.images.reading import open_cohort
from napari_attmil.images.simulation import SimulationSettings, simulate_cohort
from napari_attmil.methods import METHODS, TABLE_1
from napari_attmil.settings import DetectionSettings, UserError
from napari_attmil.terminal import say_healthy_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.bags.ensemble import EnsembleProgress


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run `attmil` as a person would type it; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["attmil", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
        sys.exit(0)
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated cohort of two classes, small enough for a test."""
    folder = tmp_path_factory.mktemp("study")
    settings = SimulationSettings(
        classes=("healthy", "sickle"),
        patients_per_class=3,
        samples_per_patient=1,
        images_per_sample=1,
        image_size_px=224,
        cells_per_image=9,
        altered_share=0.5,
        variety=0.2,
    )
    for _ in simulate_cohort(folder, settings):
        pass
    return folder


def test_detect_writes_one_row_a_cell(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(study.rglob("*.tif"))
    out = tmp_path / "cells.csv"
    assert run(monkeypatch, "detect", image, "--out", out, "--device", "cpu") == 0
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
    ]
    assert set(cells["image"]) == {str(image)}
    assert len(cells) >= 5
    assert cells["score"].min() >= 0.5
    assert f"{len(cells)} cells in 1 image written" in capsys.readouterr().out


def test_a_stack_has_its_frames_in_the_table(
    tmp_path: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [tifffile.imread(path) for path in sorted(study.rglob("*.tif"))[:2]]
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(images), photometric="minisblack")
    run(monkeypatch, "detect", tmp_path / "stack.tif", "--out", tmp_path / "c.csv")
    assert sorted(pd.read_csv(tmp_path / "c.csv")["frame"].unique()) == [0, 1]


def test_train_then_classify_names_classes_and_cells(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    options = ("--epochs", 2, "--members", 2)
    assert run(monkeypatch, "train", study, "--out", model, *options) == 0
    assert "2 models, calibrated on 6 held-out patients." in capsys.readouterr().out
    sample = study / "sickle"
    out, report = tmp_path / "cells.csv", tmp_path / "report.json"
    assert run(monkeypatch, "classify", model, sample, "--out", out, "--report", report) == 0
    cells = pd.read_csv(out)
    assert {"attention", "contribution_healthy", "contribution_sickle"} <= set(cells)
    samples = json.loads(report.read_text())["samples"]
    assert len(samples) == 3
    assert sum(samples[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    of_first = cells[cells["image"].str.contains(Path(samples[0]["sample"]).name, regex=False)]
    assert of_first["attention"].sum() == pytest.approx(1, abs=1e-3)
    assert len(samples[0]["model_probabilities"]) == 2
    assert samples[0]["abstains"] and samples[0]["coverage"] == 0.9
    printed = capsys.readouterr().out
    # Six patients cannot rule out a class at 90 %: that is said of every sample, and why.
    assert printed.count("Undecided: no class can be ruled out at 90%") == 3
    assert "needs 9 patients to calibrate with" in printed
    assert "not a diagnosis" in printed
    page = tmp_path / "report.html"
    assert run(monkeypatch, "report", model, sample, "--out", page) == 0
    html = page.read_text("utf-8")
    assert hashlib.sha256(model.read_bytes()).hexdigest() in html
    assert all(f"<h2>{escape(found['sample'])}</h2>" in html for found in samples)
    document = tmp_path / "report.pdf"
    assert run(monkeypatch, "report", model, study, "--by-class", "--out", document) == 0
    text = "".join(page.extract_text() for page in PdfReader(document).pages)
    assert "Class sickle" in text
    assert "patients cannot show a difference; 6 or more" in " ".join(text.split())
    assert run(monkeypatch, "report", model, study, study, "--by-class", "--out", page) == 1
    assert run(monkeypatch, "shapes", model, study, "--out", out) == 0
    measured = pd.read_csv(out)
    assert measured["patient"].nunique() == 6
    assert measured["equivalent_diameter_um"].median() == pytest.approx(7.8, abs=1.5)
    assert "patients cannot show a difference; 6 or more" in capsys.readouterr().out


def test_a_sample_without_cells_is_left_out_and_does_not_cost_the_others(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, blank = tmp_path / "model.safetensors", tmp_path / "blank.tif"
    options = ("--epochs", 1, "--members", 1, "--no-calibrate")
    assert run(monkeypatch, "train", study, "--out", model, *options) == 0
    tifffile.imwrite(blank, np.full((224, 224), 128, np.uint8))
    image, out, page = next(study.rglob("*.tif")), tmp_path / "cells.csv", tmp_path / "r.html"
    for command in (("classify", "--out", out), ("report", "--out", page)):
        capsys.readouterr()
        assert run(monkeypatch, command[0], model, blank, image, *command[1:]) == 0
        assert "Sample 'blank' has no cells and was left out." in capsys.readouterr().err
        assert run(monkeypatch, command[0], model, blank, *command[1:]) == 1
        assert "No cell was found in any sample" in capsys.readouterr().err
    assert set(pd.read_csv(out)["image"]) == {str(image)}
    assert f"<h2>{image.stem}</h2>" in page.read_text("utf-8")


def test_a_classification_uses_the_boxes_that_a_person_left(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.cells.project import AnnotationFile, Annotations
    from napari_attmil.images.reading import open_cohort

    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    sample = open_cohort(copy).samples[0]
    images = np.arange(len(sample.frames))
    boxes = Boxes.from_detections(images, [[5, 5, 30, 30]] * len(images), [0.9] * len(images))
    kept = Annotations(boxes, searched=frozenset({0}), next_id=99)
    AnnotationFile.beside(copy).write(sample, kept)
    model = tmp_path / "model.safetensors"
    options = ("--epochs", 1, "--members", 1, "--no-calibrate")
    assert run(monkeypatch, "train", copy, "--out", model, *options) == 0
    out = tmp_path / "cells.csv"
    folder = sample.frames[0].path.parent
    assert run(monkeypatch, "classify", model, folder, "--out", out) == 0
    cells = pd.read_csv(out)
    own = cells[cells["image"].isin([str(frame.path) for frame in sample.frames])]
    assert own[["x_min", "y_min", "x_max", "y_max"]].drop_duplicates().to_numpy().tolist() == [
        [5, 5, 30, 30]
    ]


def test_ctrl_c_keeps_the_models_that_are_there(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_attmil.bags.ensemble import EnsembleTrainer

    whole = EnsembleTrainer.epochs

    def interrupted(trainer: EnsembleTrainer) -> Iterator[EnsembleProgress]:
        for step in whole(trainer):
            yield step
            if step.title == "Model 3 of 6":
                raise KeyboardInterrupt

    model = tmp_path / "model.safetensors"
    command = ("train", study, "--out", model, "--epochs", 2, "--members", 5)
    with monkeypatch.context() as patched:
        patched.setattr(EnsembleTrainer, "epochs", interrupted)
        assert run(patched, *command) == 0
    assert "2 models. Not calibrated: the training was stopped early." in capsys.readouterr().out
    assert model.is_file()
    finished = {path.name for path in tmp_path.glob("*.unfinished/*")}
    assert len(finished) == 6 + 2, "those that found the telling cells too"
    assert run(monkeypatch, *command) == 0
    said = capsys.readouterr().out
    assert re.search(r"^5 models( of single cells and one of .*)?, calibrated on", said, re.M)
    assert not list(tmp_path.glob("*.unfinished"))


def test_ctrl_c_before_the_first_model_writes_nothing_and_says_so(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_attmil.bags.ensemble import EnsembleTrainer

    whole = EnsembleTrainer.epochs

    def interrupted(trainer: EnsembleTrainer) -> Iterator[EnsembleProgress]:
        yield next(whole(trainer))
        raise KeyboardInterrupt

    model = tmp_path / "model.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(EnsembleTrainer, "epochs", interrupted)
        assert run(patched, "train", study, "--out", model, "--epochs", 2) != 0
    assert "Stopped before the first model was there" in capsys.readouterr().err
    assert not model.exists()


def test_a_model_that_cannot_be_saved_is_not_trained_again(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_attmil.bags.classifier import Classifier

    def full(*_: object) -> None:
        raise UserError("The disk is full.")

    model = tmp_path / "model.safetensors"
    command = ("train", study, "--out", model, "--epochs", 1, "--members", 2, "--no-calibrate")
    with monkeypatch.context() as patched:
        patched.setattr(Classifier, "save", full)
        assert run(patched, *command) == 1
    assert len(list(tmp_path.glob("*.unfinished/*"))) >= 2, "the trainings are kept"
    assert run(monkeypatch, *command) == 0
    assert model.is_file() and not list(tmp_path.glob("*.unfinished"))


def test_published_preset_trains_one_model_unless_asked_otherwise(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("train", study, "--out", tmp_path / "m.safetensors", "--preset", "paper")
    assert run(monkeypatch, *options, "--epochs", 1) == 0
    assert "1 model. Not calibrated" in capsys.readouterr().out


def test_evaluate_writes_the_report_of_the_contract(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--folds", 3, "--runs", 2, "--epochs", 2, "--methods", "mil-att-sic,sic")
    options += ("--no-ensemble", "--controls")
    assert run(monkeypatch, "evaluate", study, "--out", tmp_path, *options) == 0
    methods = json.loads((tmp_path / "report.json").read_text())["methods"]
    assert set(methods) == {"sic", "mil-att-sic", "shuffled-labels", "untrained"}
    figures = methods["mil-att-sic"]
    for name in ("accuracy", "f1_weighted", "f1_macro", "auroc"):
        low, high = figures[name]["interval"]
        assert 0 <= low <= high <= 1
        assert {"mean", "std"} <= set(figures[name])
    assert set(figures["auprc"]) == {"healthy", "sickle"}
    assert "| MIL + att. + SIC |" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert "| MIL + att. + SIC |" in capsys.readouterr().out
    # Once more: what is there is not trained again.
    assert run(monkeypatch, "evaluate", study, "--out", tmp_path, *options) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "24 of 24 trainings were already done" in said


def test_evaluate_of_a_published_preset_has_no_ensemble_that_training_would_not_make(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--preset", "paper", "--folds", 2, "--runs", 1, "--epochs", 1)
    methods = ("--methods", "mil-att-sic")
    assert run(monkeypatch, "evaluate", study, "--out", tmp_path, *options, *methods) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["methods"]) == ["mil-att-sic"] and report["main"] == "mil-att-sic"
    assert report["ensemble"]["members"] == 1 and not report["ensemble"]["calibrate"]


def test_methods_are_named_by_table_or_by_name() -> None:
    assert method_names("table-1") == TABLE_1
    assert method_names("all") == tuple(METHODS)
    assert method_names("mil-top-sic,table-1") == (*TABLE_1, "mil-top-sic")
    with pytest.raises(UserError, match="no method 'mil'"):
        method_names("mil")


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
    assert detection_settings(0.4, text) == DetectionSettings(min_score=0.4, **settings)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("detect", "nowhere.tif", "--out", "c.csv"), "does not exist"),
        (("detect", "text.tif", "--out", "c.csv"), "text.tif"),
        (("detect", "empty", "--out", "c.csv"), "holds no images"),
        (("detect", "field.tif", "--out", "c.csv", "--weights", "text.tif"), "not a readable"),
        (("detect", "field.tif", "--out", "text.tif/c.csv"), "could not be written"),
        (("detect", "field.tif", "--out", "c.csv", "--device", "gpu9"), "no device 'gpu9'"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "1"), "Cell diameter"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "big"), "7.5um"),
        (("detect", "field.tif", "--out", "c.csv", "--cell-diameter", "7um"), "size of their pix"),
        (("detect", "columns.csv", "--out", "c.csv"), "is no image; choose image files"),
        (("detect", "field.tif", "--out", "few"), "is a folder; give the name of a file"),
        (("classify", "text.tif", "field.tif", "--out", "empty"), "is a folder"),
        (("classify", "m", "field.tif", "--out", "c", "--report", "empty"), "is a folder"),
        (("report", "m", "field.tif", "--out", "text.tif/r.html"), "text.tif is a file"),
        (("train", "few", "--out", "empty"), "is a folder; give the name of a file"),
        (("evaluate", "few", "--out", "text.tif"), "text.tif is a file"),
        (("finetune", "few", "--out", "empty"), "is a folder"),
        (("shapes", "m", "few", "--out", "empty"), "is a folder"),
        (("demo", "--out", "text.tif"), "text.tif is a file"),
        (("train", "field.tif", "--out", "m.safetensors"), "is an image"),
        (("train", "columns.csv", "--out", "m.safetensors"), "label"),
        (("train", "few", "--out", "m.safetensors", "--healthy-class", "c"), "no class 'c'"),
        (("evaluate", "few", "--out", "r"), "patient"),
        (("evaluate", "few", "--out", "r", "--methods", "mil"), "no method 'mil'"),
        (("classify", "text.tif", "field.tif", "--out", "c.csv"), "not a readable model file"),
        (("detect", "field.tif", "--out", "c.csv", "--colour", "red"), "No such option: --colour"),
        (("detect", "field.tif"), "--out"),
        (("evaluate", "few", "--out", "r", "--folds", "1"), "--folds"),
        (("train", "few", "--out", "m.safetensors", "--preset", "papre"), "paper"),
        (("train", "few", "--out", "m.safetensors", "--seed", 2**32), "--seed"),
        (("classify", "text.tif"), "inputs"),
    ],
)
def test_a_mistake_ends_with_code_1_and_one_sentence(
    arguments: tuple[object, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.tif").write_text("I am not an image")
    Path("columns.csv").write_text("image,sample,patient\na.tif,s,p\n")
    Path("empty").mkdir()
    field = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    tifffile.imwrite("field.tif", field)
    for name in ("few/a/p1/1.tif", "few/b/p2/1.tif"):
        Path(name).parent.mkdir(parents=True)
        tifffile.imwrite(name, field)
    assert run(monkeypatch, *arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("attmil: ")
    assert sentence in lines[-1]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_one_class_is_refused_before_its_cells_are_looked_for(
    command: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = pd.read_csv(study / "cohort.csv")
    table["image"] = [study / image for image in table["image"]]
    table[table["label"] == "sickle"].to_csv(tmp_path / "sickle.csv", index=False)
    out = tmp_path / "out"
    assert run(monkeypatch, command, tmp_path / "sickle.csv", "--out", out) == 1
    said = capsys.readouterr().err
    assert "The cohort has 1 labelled class, but" in said and "Computing on" not in said


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("", "Healthy class: healthy"), ("sickle", "Healthy class: sickle")],
)
def test_which_class_counts_as_healthy_is_said(
    wanted: str, told: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_healthy_class(open_cohort(study), wanted)
    assert capsys.readouterr().err.strip() == told


def test_a_full_disk_is_said_and_leaves_no_half_file(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    out = tmp_path / "cells.csv"
    assert run(monkeypatch, "detect", next(study.rglob("*.tif")), "--out", out) == 1
    assert "disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_commands_as_a_study_needs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--help")
    text = capsys.readouterr().out
    commands = ("demo", "detect", "train", "classify", "evaluate", "queue", "check")
    places = [text.index(f"│ {name} ") for name in commands]
    assert places == sorted(places)


def test_help_opens_without_torch() -> None:
    code = "import sys\nfrom napari_attmil import cli\nassert 'torch' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real_data
def test_the_cells_of_a_real_smear_are_found(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = real_data / "chula" / "smears" / "hs" / "1.jpg"
    run(monkeypatch, "detect", image, "--out", tmp_path / "c.csv")
    assert 55 <= len(pd.read_csv(tmp_path / "c.csv")) <= 110
