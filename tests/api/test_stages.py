"""The stages as functions: the same results as the commands', from public names."""

from __future__ import annotations

import inspect
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import typer.main

import napari_attmil as attmil
from napari_attmil import cli, workflows
from napari_attmil.session import LoadedClassifier
from napari_attmil.workflows import Training

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.workflows import Stage

OTHER_NAMES = {
    "demo": "Session",  # opens a window
    "samples": "sample_table",
    "export": "export_boxes",
    "import": "import_boxes",  # a keyword of Python
    "check": "odd_boxes",
    "cluster": "open_cluster",
}


def test_every_command_has_a_function() -> None:
    commands = vars(typer.main.get_command(cli.app))["commands"]
    public = vars(attmil)["__all__"]
    assert [name for name in commands if OTHER_NAMES.get(name, name) not in public] == []


def test_an_image_alone_has_the_cells_of_a_list_of_it(place: Path) -> None:
    image = attmil.read_images(attmil.open_cohort(place / "study")[0])[0]
    detector = attmil.Detector.load(device=attmil.choose_device("cpu"))
    alone, listed = detector.detect(image), detector.detect([image])
    assert len(alone) and alone.is_unchanged_since(listed)
    colour = detector.detect(np.stack([image] * 3, axis=-1))
    assert len(colour) == len(alone) and set(colour.image_index) == {0}
    stack = detector.detect(np.stack([image] * 2))
    assert len(stack) == 2 * len(alone) and set(stack.image_index) == {0, 1}


def test_detect_returns_the_table_that_it_writes(place: Path, tmp_path: Path) -> None:
    cells = attmil.detect(place / "study", tmp_path / "cells.csv", device="cpu")
    written = pd.read_csv(tmp_path / "cells.csv")
    assert len(cells) == len(written) > 40
    np.testing.assert_allclose(cells["x_min"], written["x_min"], rtol=1e-5)


def test_a_region_is_searched_and_planned_alone(place: Path) -> None:
    sample = attmil.open_cohort(place / "study")["sickle-01-1"]
    whole = attmil.detect(sample, device="cpu")
    part = attmil.detect(sample, device="cpu", region=(0, 0, 100, 1000))
    assert 0 < len(part) < len(whole) and (part["x_min"] < 100).all()
    plan = attmil.plan_detection(sample, device="cpu")
    assert plan.parts == len(sample) and plan.seconds > 0
    assert plan.cells == pytest.approx(len(whole), rel=0.2)
    with pytest.raises(attmil.UserError, match="x1 > x0"):
        attmil.detect(sample, region=(1, 1, 1, 1))
    with pytest.raises(attmil.UserError, match="finite numbers"):
        attmil.detect(sample, region=(0, 0, np.inf, np.inf))
    for stage in (attmil.detect, attmil.plan_detection):
        with pytest.raises(attmil.UserError, match=r"outside of .* px wide and .* px high"):
            stage(sample, device="cpu", region=(9000, 0, 9100, 100))


def test_a_sample_is_classified_as_by_classify_and_brings_its_boxes(place: Path) -> None:
    sample = attmil.open_cohort(place / "study")["sickle-01-1"]
    classifier = attmil.Classifier.load(place / "model.safetensors", attmil.choose_device("cpu"))
    prediction = classifier.classify(sample)
    (other,) = attmil.classify(place / "model.safetensors", sample, device="cpu")
    np.testing.assert_allclose(prediction.probabilities, other.probabilities, rtol=1e-5)
    assert prediction.boxes is not None
    np.testing.assert_array_equal(prediction.boxes.cell_id, prediction.cell_id)
    assert prediction.attention.sum() == pytest.approx(1, abs=1e-5)


def test_a_prior_is_used_where_it_is_given_or_kept_in_the_study(
    place: Path, tmp_path: Path, caplog: Any
) -> None:
    study = shutil.copytree(place / "study", tmp_path / "study")
    model, sample = place / "model.safetensors", study / "sickle" / "sickle-01"
    prior = {"healthy": 0.9, "sickle": 0.1}
    (plain,) = attmil.classify(model, sample, device="cpu")
    (rare,) = attmil.classify(model, sample, prior=prior, device="cpu")
    odds, rarer = (one.probabilities[0] / one.probabilities[1] for one in (plain, rare))
    assert rarer / odds == pytest.approx(9, rel=1e-4)
    assert rare.assumed == pytest.approx(prior)
    assert plain.assumed == {"healthy": 0.5, "sickle": 0.5}
    workflows.write_prior(study, prior)
    caplog.clear()
    (kept,) = attmil.classify(model, sample, device="cpu")
    np.testing.assert_allclose(kept.probabilities, rare.probabilities, rtol=1e-5)
    assert "kept in the study are used: healthy 90%, sickle 10%." in caplog.text
    (equal,) = attmil.classify(model, sample, prior={"healthy": 1, "sickle": 1}, device="cpu")
    np.testing.assert_allclose(equal.probabilities, plain.probabilities, rtol=1e-5)
    workflows.write_prior(study, {"healthy": 0.9, "other": 0.1})
    caplog.clear()
    (unfit,) = attmil.classify(model, sample, device="cpu")
    np.testing.assert_allclose(unfit.probabilities, plain.probabilities, rtol=1e-5)
    assert "do not fit this classifier and are not used" in caplog.text
    with pytest.raises(attmil.UserError, match="give each of these one"):
        attmil.classify(model, sample, prior={"healthy": 1}, device="cpu")


def test_what_a_cell_changes_is_at_the_frequencies_of_its_sample(
    place: Path, tmp_path: Path
) -> None:
    study = shutil.copytree(place / "study", tmp_path / "study")
    model, sample = place / "model.safetensors", study / "sickle" / "sickle-01"
    (said,) = attmil.classify(model, sample, device="cpu")
    cell, prior = int(said.cell_id[0]), {"healthy": 0.9, "sickle": 0.1}
    plain = attmil.cell(model, sample, cell, device="cpu")
    rare = attmil.cell(model, sample, cell, prior=prior, device="cpu")
    workflows.write_prior(study, prior)
    kept = attmil.cell(model, sample, cell, device="cpu")
    assert kept.probabilities == rare.probabilities and kept.without == rare.without
    assert plain.without is not None and rare.without is not None
    for before, after in ((plain.probabilities, rare.probabilities), (plain.without, rare.without)):
        odds, rarer = (one["healthy"] / one["sickle"] for one in (before, after))
        assert rarer / odds == pytest.approx(9, rel=1e-4)


def test_boxes_that_a_person_drew_are_classified(place: Path, tmp_path: Path) -> None:
    study = shutil.copytree(place / "study" / "sickle" / "sickle-01", tmp_path / "images")
    image = next(study.rglob("*.tif")).relative_to(study).as_posix()
    rows = f"image,x_min,y_min,x_max,y_max,label\n{image},20,20,70,70,red blood cell\n"
    (tmp_path / "boxes.csv").write_text(rows)
    outcome = attmil.import_boxes(study, tmp_path / "boxes.csv", reviewed=True)
    assert sum(counts.added for _, counts in outcome.merged) == 1
    assert outcome.in_words().endswith("; 1 image counts as reviewed")
    classifier = attmil.Classifier.load(place / "model.safetensors", attmil.choose_device("cpu"))
    prediction = classifier.classify(attmil.open_cohort(study)[0])
    assert prediction.boxes is not None
    np.testing.assert_allclose(prediction.boxes.xyxy, [[20, 20, 70, 70]])
    assert len(attmil.queue(study)) == 0  # reviewed


def test_a_folder_of_several_samples_is_not_one_to_classify(place: Path) -> None:
    classifier = attmil.Classifier.load(place / "model.safetensors", attmil.choose_device("cpu"))
    with pytest.raises(attmil.UserError, match="holds 6 samples"):
        classifier.classify(place / "study")


def test_train_is_calibrated_unless_asked_otherwise(place: Path) -> None:
    classifier = attmil.Classifier.load(place / "model.safetensors")
    assert classifier.held_out is not None and classifier.certainty.is_calibrated
    defaults = inspect.signature(attmil.train).parameters
    assert defaults["settings"].default is None and defaults["ensemble"].default is None
    assert attmil.ensemble_preset("default").calibrate


def test_evaluate_returns_the_report(place: Path, tmp_path: Path) -> None:
    short = attmil.mil_preset("default", epochs=1)
    plan = attmil.EvaluationSettings(folds=3, runs=1, methods=("mil-max",), ensemble=False)
    report = attmil.evaluate(place / "study", tmp_path / "report", short, plan, device="cpu")
    assert (tmp_path / "report" / "report.html").is_file()
    assert np.sum(report["methods"]["mil-max"]["confusion"]) == 6
    axes = attmil.plot_confusion(report, "mil-max")
    assert sum(float(text.get_text()) for text in axes.texts) == 6
    with pytest.raises(attmil.UserError, match="no method 'sic'"):
        attmil.plot_confusion(report, "sic")


def test_evaluate_needs_a_worker(place: Path, tmp_path: Path) -> None:
    with pytest.raises(attmil.UserError, match="needs 1 worker or more, not 0"):
        attmil.evaluate(place / "study", tmp_path / "report", workers=0)


def test_what_a_model_saw_in_a_cell_is_told(place: Path, tmp_path: Path) -> None:
    cohort = attmil.open_cohort(place / "study")
    facts = attmil.cell(place / "model.safetensors", cohort[0], 1, others=cohort[1:3])
    assert facts.cell_id == 1 and {one.sample for one in facts.similar} == {
        cohort[1].name,
        cohort[2].name,
    }
    with pytest.raises(attmil.UserError, match="no cell 999"):
        attmil.cell(place / "model.safetensors", cohort[0], 999)
    shapes = attmil.shapes(place / "model.safetensors", cohort, tmp_path / "cells.csv")
    assert {"attention", "circularity"} <= set(shapes.cells) and len(shapes.findings) >= 2
    page = attmil.report(place / "model.safetensors", cohort[0], tmp_path / "page.html")
    assert cohort[0].name in page.read_text(encoding="utf-8")


def test_a_cell_is_of_one_sample_and_similar_ones_of_others(place: Path) -> None:
    model, folder = place / "model.safetensors", place / "study" / "sickle"
    own, cohort = folder / "sickle-01", attmil.open_cohort(place / "study")
    with pytest.raises(attmil.UserError, match=r"holds 3 samples .* a cell is in one of them"):
        attmil.cell(model, folder, 1)
    facts = attmil.cell(model, own, 1, others=folder, device="cpu")
    assert len({one.sample for one in facts.similar}) == 2
    again = attmil.cell(model, cohort["sickle-01-1"], 1, others=[own, own], device="cpu")
    assert again.cells == facts.cells and not again.similar


def test_a_stopped_training_says_so(
    place: Path, tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Stage[Training]:
        yield attmil.Progress(0, 0)
        model = place / "model.safetensors"
        loaded = LoadedClassifier(attmil.Classifier.load(model), model.name, model)
        return Training(loaded, is_finished=False)

    monkeypatch.setattr(workflows, "train_classifier", stopped)
    attmil.train(place / "study", tmp_path / "new.safetensors", device="cpu")
    assert "Stopped; the models so far are written" in caplog.text


def test_what_a_stage_notes_is_logged(place: Path, caplog: Any, tmp_path: Path) -> None:
    import tifffile

    empty = tmp_path / "empty.tif"
    tifffile.imwrite(empty, np.full((96, 96), 90, np.uint8))
    inputs = [empty, place / "study" / "sickle" / "sickle-01"]
    predictions = attmil.classify(place / "model.safetensors", inputs, device="cpu")
    assert len(predictions) == 1
    assert "'empty' has no cells and was left out" in caplog.text
