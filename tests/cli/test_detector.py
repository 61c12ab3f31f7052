"""`attmil finetune` and `attmil queue`, as a person would type them."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_attmil.cells.detection.network_file import load_network, save_network
from napari_attmil.cells.detection.scoring import DetectionScore
from napari_attmil.cells.finetuning.finetuning import FinetuneProgress
from napari_attmil.cells.finetuning.gate import LookOutcome
from napari_attmil.cells.finetuning.holdout import HoldOut
from napari_attmil.cells.finetuning.reviewed import image_name
from napari_attmil.cells.finetuning.study_detectors import (
    accept_candidate,
    candidate_path,
    detector_in_use,
    training_folder,
)
from napari_attmil.cells.settings import FinetuneSettings
from napari_attmil.core import entries, finished
from napari_attmil.core.model_files import load_checkpoint
from napari_attmil.images.reading import open_cohort
from napari_attmil.session.review_queue import QueueOrder, entries_of, sorted_entries
from napari_attmil.session.sample_state import SampleState
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings
from napari_attmil.workflows import Study, finetune_study

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_a_coco_file_makes_a_detector(attmil: Any, tmp_path: Path) -> None:
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
    outcome = attmil("finetune", tmp_path / "coco.json", "--out", out, "--steps", 1)
    assert outcome.code == 0 and str(out) in outcome.out
    assert load_checkpoint(out, "detector").provenance["data"] == "fine-tuned on 1 reviewed image"


def test_a_detector_that_cannot_be_fitted_is_refused_before_an_image_is_read(
    attmil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = EntryPoints([EntryPoint("bright", "nowhere:Bright", "napari_attmil.detectors")])
    monkeypatch.setattr(entries, "entry_points", lambda **asked: offered.select(**asked))
    arguments = ("finetune", tmp_path / "no.json", "--out", tmp_path / "w.safetensors")
    fitted = attmil(*arguments, "--weights", "bright")
    assert fitted.code == 1 and "'bright' of another package cannot be fitted" in fitted.err
    missing = attmil(*arguments, "--weights", "brihgt")
    assert missing.code == 1 and "no model file brihgt; check the path." in missing.err


def test_the_queue_names_the_most_doubtful_image_first(attmil: Any, project: Any) -> None:
    outcome = attmil("queue", project.folder)
    lines = [line.split("\t") for line in outcome.out.splitlines()]
    assert [(doubt, path[-5:]) for doubt, path, _ in lines] == [
        ("0.400", "b.tif"),
        ("0.100", "a.tif"),
        ("0.000", "c.tif"),
    ]


def test_the_queue_leaves_reviewed_images_out_and_stops_at_its_limit(
    attmil: Any, project: Any
) -> None:
    project.keep(project.kept().boxes, reviewed=frozenset({1}))
    assert [
        line[-7:] for line in attmil("queue", project.folder, "--limit", 1).out.splitlines()
    ] == ["a.tif\t1"]
    project.keep(project.kept().boxes, reviewed=frozenset({0, 1, 2}))
    outcome = attmil("queue", project.folder)
    assert (outcome.out, outcome.code) == ("", 0) and "all with boxes are reviewed" in outcome.err


def test_a_project_without_boxes_says_how_they_get_there(attmil: Any, tmp_path: Path) -> None:
    image = tmp_path / "a" / "p1" / "1.tif"
    image.parent.mkdir(parents=True)
    tifffile.imwrite(image, np.zeros((64, 64), np.uint8))
    outcome = attmil("queue", tmp_path)
    assert "No image has boxes yet" in outcome.err and "attmil import" in outcome.err


def test_nothing_reviewed_ends_with_one_sentence(attmil: Any, project: Any) -> None:
    outcome = attmil("finetune", project.folder, "--out", project.folder / "w.safetensors")
    assert outcome.code == 1 and "marked as reviewed" in outcome.err


def test_panel_and_command_hold_out_the_same_images(
    attmil: Any, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def finetune(*arguments: Any) -> Iterator[Any]:
        asked.append(arguments[-1])
        return iter(())

    monkeypatch.setattr("napari_attmil.cells.finetuning.finetune", finetune)
    project.keep(project.kept().boxes, reviewed=frozenset({0}))
    attmil("finetune", project.folder, "--out", project.folder / "w.safetensors")
    study = Study.of(open_cohort(project.folder))
    finished(finetune_study(study, FinetuneSettings(), "cpu"))
    assert asked == [training_folder(project.folder)] * 2


def test_images_to_test_with_are_named_by_hand_and_kept_with_the_study(
    attmil: Any, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_attmil.cells.finetuning.finetune", lambda *_: iter(()))
    project.keep(project.kept().boxes, reviewed=frozenset({0, 1, 2}))
    command = ("finetune", project.folder, "--out", project.folder / "w.safetensors")
    outcome = attmil(*command, "--hold-out", "nothing.tif")
    assert outcome.code == 1 and "'nothing.tif' is no reviewed image" in outcome.err
    folder = training_folder(project.folder)
    assert HoldOut.read(folder) == HoldOut()
    (sample,) = open_cohort(project.folder).samples
    names = [image_name(frame, project.folder) for frame in sample.frames]
    assert attmil(*command, "--hold-out", names[1].removesuffix("#0")).code == 0
    assert HoldOut.read(folder).of(names) == {names[1]}
    assert HoldOut.read(folder).by_hand == set(names)


def test_a_detector_that_is_no_better_is_written_and_said_to_be_so(
    attmil: Any, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = DetectionScore(0.5, 0.5, 0.5)
    look = LookOutcome("dark", 1, 9, 4, 5, gained=2, lost=1, wrong_before=1, wrong_after=0)
    last = FinetuneProgress(1, 1, 0.1, even, even, even, True, looks=(look,))
    monkeypatch.setattr("napari_attmil.cells.finetuning.finetune", lambda *_: iter([last]))
    project.keep(project.kept().boxes, reviewed=frozenset({0}))
    out = project.folder / "w.safetensors"
    outcome = attmil("finetune", project.folder, "--out", out)
    assert outcome.code == 0 and f"Detector written to {out}" in outcome.out
    assert "dark (1 held-out image): 5 of 9 cells found, 4 before (2 gained, 1 lost)" in outcome.out
    assert "no clear gain" in outcome.err and "--weights" in outcome.err


def test_the_queue_is_in_the_panel_s_order(attmil: Any, project: Any) -> None:
    project.keep(project.kept().boxes[:1], searched=frozenset({0, 1}))
    (sample,) = open_cohort(project.folder).samples
    entries = entries_of(sample, SampleState.of(project.kept()))
    shown = [entry.title for entry in sorted_entries(entries, QueueOrder.DOUBT)]
    named = [line.split("\t")[1] for line in attmil("queue", project.folder).out.splitlines()]
    assert shown == ["b.tif", "a.tif", "c.tif"]
    assert [Path(path).name for path in named] == shown[:2]  # nobody has searched the last one


def test_the_detector_in_use_is_not_written_over(attmil: Any, project: Any) -> None:
    project.keep(project.kept().boxes, reviewed=frozenset({0}))
    shipped = load_network()
    candidate = candidate_path(project.folder)
    candidate.parent.mkdir(exist_ok=True)
    save_network(candidate, shipped.network, shipped.architecture, {"data": "other images"})
    accept_candidate(project.folder)
    in_use = detector_in_use(project.folder)
    outcome = attmil("finetune", project.folder, "--out", in_use)
    assert outcome.code == 1 and "is what the command reads" in outcome.err
