"""How a study was left comes back, and nothing that is damaged is ever in the way."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.predictions import FakeClassifier

from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.boxes import Boxes
from napari_attmil.workflows import study_state
from napari_attmil.workflows.study_state import (
    MOST_RECENT,
    StudyState,
    forget_recent,
    note_recent,
    read_prior,
    read_results,
    read_state,
    recent_studies,
    write_prior,
    write_results,
    write_state,
)

if TYPE_CHECKING:
    from pathlib import Path

STATE = StudyState("s2", 3, ("Classify samples", "Annotate cells"), "/models/c.safetensors")


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(study_state, "_user_folder", lambda: tmp_path / "user")
    return tmp_path / "user"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a study in which somebody has worked."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "annotations.sqlite").touch()
    return tmp_path / "study"


def test_a_study_comes_back_as_it_was_left_also_after_its_folder_was_moved(folder: Path) -> None:
    write_state(folder, STATE)
    assert read_state(folder) == STATE
    moved = folder.rename(folder.with_name("moved"))
    assert read_state(moved) == STATE


def test_a_folder_in_which_nobody_has_worked_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "looked at").mkdir()
    write_state(tmp_path / "looked at", STATE)
    assert os.listdir(tmp_path / "looked at") == []
    assert read_state(tmp_path / "looked at") == STATE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"version": 1}',
        '{"version": 99, "sample": "s"}',
        '{"version": 1, "panels": 3}',
    ],
)
def test_damaged_and_newer_states_count_as_nothing_known(
    folder: Path, user: Path, content: str
) -> None:
    write_state(folder, STATE)
    (folder / ".napari-attmil" / "state.json").write_text(content)
    assert read_state(folder) == StudyState()
    user.mkdir()
    (user / "recent.json").write_text(content)
    assert recent_studies() == []


def test_results_come_back_with_the_classifier_that_made_them(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "c.safetensors"
    model.write_bytes(b"weights")
    boxes = Boxes.from_detections([0, 1], [[0, 0, 9, 9], [1, 1, 9, 9]], [0.9, 0.8])
    prediction = Prediction(
        "s1",
        ("a", "b"),
        np.array([0.25, 0.75], np.float32),
        boxes.cell_id,
        np.array([0.1, 0.9], np.float32),
        np.ones((2, 2), np.float32),
        prediction_set=("b",),
        coverage=0.9,
        held_out=np.array([0.5, 0.5]),
        boxes=boxes,
    )
    plain = replace(prediction, sample="s2", prediction_set=None, held_out=None)
    write_results(folder, model, {"s1": (prediction, boxes), "s2": (plain, boxes)})
    results = read_results(folder, model)
    assert list(results) == ["s1", "s2"]
    again, of_boxes = results["s1"]
    assert again.boxes is of_boxes
    for name in vars(prediction).keys() - {"boxes"}:
        value = getattr(prediction, name)
        assert_array_equal(getattr(again, name), value)
        assert type(getattr(again, name)) is type(value)
    assert results["s2"][0].prediction_set is None and results["s2"][0].held_out is None
    assert of_boxes.is_unchanged_since(boxes)
    model.write_bytes(b"other weights")
    assert read_results(folder, model) == {}
    (folder / ".napari-attmil" / "results.npz").write_bytes(b"PK\3\4 damaged")
    assert read_results(folder, model) == {}


def test_frequencies_of_classes_are_kept_with_the_study_until_they_are_taken_back(
    folder: Path,
) -> None:
    prior = {"healthy": 0.9, "sickle": 0.1}
    assert read_prior(folder) is None
    write_prior(folder, prior)
    assert read_prior(folder.rename(folder.with_name("moved"))) == prior
    moved = folder.with_name("moved")
    for text in ("{", '{"version": 1, "classes": {"a": -1, "b": 2}}', '{"version": 1}'):
        (moved / ".napari-attmil" / "prior.json").write_text(text)
        assert read_prior(moved) is None
    write_prior(moved, prior)
    write_prior(moved, None)
    assert read_prior(moved) is None


def test_results_are_kept_as_they_were_before_other_frequencies(
    folder: Path, tmp_path: Path
) -> None:
    classifier = tmp_path / "c.safetensors"
    classifier.write_bytes(b"weights")
    said = FakeClassifier().predict("s", np.array([1, 2]))
    rare = said.with_prior({"healthy": 8, "sickle": 1, "spherocytosis": 1})
    boxes = Boxes.from_detections([0, 0], [[1, 2, 9, 8]] * 2, [0.9, 0.6])
    write_results(folder, classifier, {"s": (rare, boxes)})
    back, _ = read_results(folder, classifier)["s"]
    assert_array_equal(back.probabilities, said.probabilities)
    assert back.assumed == said.assumed and back.before_prior is None
    assert_array_equal(back.with_prior(rare.assumed).probabilities, rare.probabilities)


def test_ten_studies_are_remembered_the_latest_first(tmp_path: Path) -> None:
    for number in range(MOST_RECENT + 2):
        (tmp_path / str(number)).mkdir()
        note_recent([tmp_path / str(number)], f"study {number}")
    note_recent([tmp_path / "5"], "study 5, with one more image")
    titles = [study.title for study in recent_studies()]
    assert len(titles) == MOST_RECENT
    assert titles[:3] == ["study 5, with one more image", "study 11", "study 10"]
    (tmp_path / "11").rmdir()
    gone = [study for study in recent_studies() if not study.is_there]
    assert [study.title for study in gone] == ["study 11"]
    forget_recent(gone)
    assert len(recent_studies()) == MOST_RECENT - 1


def test_names_of_files_are_kept_as_text(tmp_path: Path, user: Path) -> None:
    note_recent([tmp_path / "ä b.tif", tmp_path / "c.tif"], "2 images")
    assert recent_studies()[0].paths == (tmp_path / "ä b.tif", tmp_path / "c.tif")
    assert json.loads((user / "recent.json").read_text("utf-8"))["version"] == 1
