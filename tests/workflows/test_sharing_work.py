"""Samples that several workers look at: the result is that of one."""

from __future__ import annotations

import contextlib
import pickle
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from skimage.io import imsave

from napari_attmil.bags import EnsembleSettings, features_for, mil_preset
from napari_attmil.bags.training import Plan
from napari_attmil.cells import Boxes, DetectionSettings
from napari_attmil.cells.detection import CellSize
from napari_attmil.core import Device, StageRun, UserError, Workers, choose_device, finished, paces
from napari_attmil.core.clusters import ClusterWorkers
from napari_attmil.core.paces import (
    READING,
    note_pace,
    note_reading,
    seconds_for,
    workers_to_read,
)
from napari_attmil.core.worker_side import run_job
from napari_attmil.images import open_cohort
from napari_attmil.session import Session
from napari_attmil.workflows import (
    Study,
    ToSearch,
    classify_study,
    detect_samples,
    detect_study,
    on_cluster,
    prepare_bags,
    train_classifier,
)
from napari_attmil.workflows.detect_many import search_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari_attmil.bags import Bag, Prediction
    from napari_attmil.images import Cohort

ONE, TWO = Workers(1), Workers(2)
DETECTION = DetectionSettings(cell_diameter_px=40)
SETTINGS = mil_preset("default", embedding="profile", epochs=2)
SMALL = EnsembleSettings(members=2, calibration_members=1, folds=2)


def discs(seed: int, count: int) -> np.ndarray:
    y, x = np.mgrid[:160, :160]
    field = np.random.default_rng(seed).normal(120, 3, (160, 160))
    for number in range(count):
        cy, cx = 40 + 70 * (number // 2), 40 + 70 * (number % 2)
        field -= 60 * ((y - cy) ** 2 + (x - cx) ** 2 < (18 + seed) ** 2)
    return field.clip(0, 255).astype(np.uint8)


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return two classes of two patients with one image each, and an empty image."""
    for number, name in enumerate(("a/p1", "a/p2", "b/p3", "b/p4", "b/p5")):
        folder = tmp_path / "study" / name / "s"
        folder.mkdir(parents=True)
        imsave(folder / "image.png", discs(number, number % 4 and 4), check_contrast=False)
    return open_cohort(tmp_path / "study")


def children() -> set[int]:
    found = psutil.Process().children(recursive=True)
    return {one.pid for one in found if "spawn_main" in " ".join(one.cmdline())}


def boxes_equal(first: Boxes, second: Boxes) -> bool:
    names = [field.name for field in fields(Boxes)]
    return all(np.array_equal(getattr(first, n), getattr(second, n)) for n in names)


def test_two_workers_find_the_cells_that_one_finds(cohort: Cohort) -> None:
    wanted = [ToSearch(sample, range(len(sample))) for sample in cohort.samples]
    by_itself = DetectionSettings()  # measures cells, of which two images have none
    runs = [StageRun(detect_samples(wanted, by_itself, "cpu", workers)) for workers in (ONE, TWO)]
    alone, together = (sorted(step.note for step in run if step.note) for run in runs)
    assert alone == together
    assert [note[:26] for note in alone] == [
        "p1/s: The cell size is a g",
        "p5/s: The cell size is a g",
    ]
    for one, two in zip(runs[0].result, runs[1].result, strict=True):
        assert boxes_equal(one.boxes, two.boxes) and one.images == two.images
    assert sum(len(one.boxes) for one in runs[0].result) > 8


def test_a_plan_s_cell_sizes_are_searched_with(cohort: Cohort) -> None:
    sample = cohort.samples[1]  # the first image is empty
    sizes = [CellSize(40, 1)]
    given, planned = (
        finished(detect_samples([wanted], settings, "cpu", ONE))
        for wanted, settings in (
            (ToSearch(sample, [0]), DETECTION),
            (ToSearch(sample, [0], sizes=sizes), DetectionSettings()),
        )
    )
    assert len(given[0].boxes) > 0 and boxes_equal(given[0].boxes, planned[0].boxes)


def test_a_search_by_two_workers_that_is_stopped_keeps_what_was_found(cohort: Cohort) -> None:
    stop = Event()
    run = StageRun(detect_study(cohort.samples, {}, DETECTION, "cpu", workers=TWO, stop=stop))
    found = {}
    for step in run:
        if step.detail is not None:
            name, found[name] = step.detail
            stop.set()
    assert run.result is False
    assert 1 <= len(found) < len(cohort)
    assert children() == set()


@pytest.mark.timeout(900)
def test_two_workers_store_and_classify_as_one_does(cohort: Cohort, tmp_path: Path) -> None:
    seen = features_for(SETTINGS)
    study = Study.of(cohort)
    alone = replace(study, store_folder=tmp_path / "alone")
    together = replace(study, store_folder=tmp_path / "together")
    detector = study.detector("cpu")
    mine = finished(prepare_bags(alone, detector, DETECTION, seen, ONE))
    run = StageRun(prepare_bags(together, detector, DETECTION, seen, TWO))
    notes = [step.note for step in run if step.note]
    assert [bag.sample for bag in run.result] == [bag.sample for bag in mine]
    for one, two in zip(mine, run.result, strict=True):
        assert one.boxes is not None and two.boxes is not None
        assert boxes_equal(one.boxes, two.boxes)
        np.testing.assert_array_equal(one.features, two.features)
    assert len(notes) == len(cohort) - len(mine)

    steps = train_classifier(alone, SETTINGS, SMALL, DETECTION, "cpu", tmp_path / "m", ONE)
    training = finished(steps)
    assert training is not None
    unstored = replace(study, stores_features=False, prior={"a": 0.9, "b": 0.1})
    model = training.classifier.model
    said, heard = (
        finished(classify_study(unstored, model, DETECTION, "cpu", workers))
        for workers in (ONE, TWO)
    )
    assert [one.sample for one in said] == [one.sample for one in heard]
    for mine_said, other_said in zip(said, heard, strict=True):
        assert_same_prediction(mine_said.prediction, other_said.prediction)
        frequencies = other_said.prediction.frequencies_in_words()
        assert frequencies == mine_said.prediction.frequencies_in_words() and "90%" in frequencies
        assert boxes_equal(mine_said.boxes, other_said.boxes)


class Handed:
    """Keeps the jobs that are handed out; nobody does them."""

    jobs: Sequence[Any] = ()
    workers = ONE

    def __init__(self, jobs: Sequence[Any], workers: Workers) -> None:
        Handed.jobs, Handed.workers = jobs, workers
        self.results: dict[int, Any] = {}

    def __iter__(self) -> Generator[Any, None, None]:
        yield from ()


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> type[Handed]:
    monkeypatch.setattr(Handed, "jobs", ())
    monkeypatch.setattr(Handed, "workers", ONE)
    for module in ("detect_many", "classify", "prepare"):
        monkeypatch.setattr(f"napari_attmil.workflows.{module}.JobRun", Handed)
    return Handed


MODEL: Any = SimpleNamespace(
    prior=None, save=lambda _: None, feature_settings=features_for(SETTINGS)
)


def test_device_is_chosen_once_for_all_workers(cohort: Cohort, handed: type[Handed]) -> None:
    name = choose_device("auto").name
    for steps in (
        detect_study(cohort.samples, {}, DETECTION, "auto", workers=TWO),
        classify_study(Study.of(cohort), MODEL, DETECTION, "auto", TWO),
    ):
        handed.jobs = []
        finished(steps)
        assert [name in job.args and "auto" not in job.args for job in handed.jobs] == [True] * 5


def test_jobs_of_a_cluster_compute_on_its_device(cohort: Cohort, handed: type[Handed]) -> None:
    lacking = Device("cuda:0", "bfloat16", "a GPU that this machine lacks")
    workers = ClusterWorkers(2, device=lacking, shared=cohort.folder)
    study, seen = Study.of(cohort), features_for(SETTINGS)
    for steps in (
        detect_study(cohort.samples, {}, DETECTION, "cpu", workers=workers),
        classify_study(study, MODEL, DETECTION, "cpu", workers),
        prepare_bags(study, study.detector("cpu"), DETECTION, seen, workers),
    ):
        handed.jobs = []
        with contextlib.suppress(StopIteration):
            while not handed.jobs:
                next(steps)
        assert ["cuda:0" in job.args for job in handed.jobs] == [True] * 5


@pytest.mark.parametrize("where", ["gpu-server", "local", "slurm", "8786"])
def test_text_that_is_no_address_is_refused_before_it_is_tried(where: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"'{where}' is no address of a scheduler"):
        finished(on_cluster(where, tmp_path, "auto", detect_study, (), {}, DETECTION, "auto"))


def test_store_is_chosen_once_for_all_workers(cohort: Cohort, handed: type[Handed]) -> None:
    study, seen = Study.of(cohort), features_for(SETTINGS)
    for steps in (
        classify_study(study, MODEL, DETECTION, "cpu", TWO),
        prepare_bags(study, study.detector("cpu"), DETECTION, seen, TWO),
    ):
        handed.jobs = []
        while not handed.jobs:
            next(steps, None)
        studies = [job.args[0] for job in handed.jobs]
        assert {one.store_folder for one in studies} == {cohort.folder / "features"}
    assert replace(study, stores_features=False).with_store_folder().store_folder is None


def test_only_what_is_not_stored_is_shared(
    cohort: Cohort, handed: type[Handed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    monkeypatch.setattr("napari_attmil.core.workers.most_workers", lambda *_: 6)
    note_pace(READING, 1, 65, "cpu")  # a single image is worth it
    study, seen = Study.of(cohort), features_for(SETTINGS)
    model = MODEL
    finished(prepare_bags(study, study.detector("cpu"), DETECTION, seen, ONE))
    checked: list[Path] = []
    monkeypatch.setattr("napari_attmil.bags.feature_store.checksum_of", checked.append)
    monkeypatch.setattr("napari_attmil.workflows.classify.each_bag", lambda *_: iter(()))
    assert finished(classify_study(study, model, DETECTION, "cpu")) == []
    assert handed.workers == ONE and checked == []
    (lost,) = study.with_store_folder().store_folder.glob("p4_s*.npy")
    lost.unlink()
    finished(classify_study(study, model, DETECTION, "cpu"))
    assert handed.workers == Workers(6)
    steps = prepare_bags(study, study.detector("cpu"), DETECTION, seen, None)
    handed.jobs = []
    while not handed.jobs:
        next(steps)
    assert [len(job.args[0].cohort) for job in handed.jobs] == [1]


def test_reading_by_one_worker_is_noted(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    monkeypatch.setattr(paces, "LEAST_S", 0)
    study, seen = Study.of(cohort), features_for(SETTINGS)
    detector = study.detector("cpu")
    monkeypatch.setattr("napari_attmil.images.LARGE_PX", 160 * 160 - 1)
    finished(prepare_bags(study, detector, DETECTION, seen, ONE))
    assert not (tmp_path / "paces.json").exists()  # as if they were slides
    monkeypatch.undo()
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    monkeypatch.setattr(paces, "LEAST_S", 0)
    start = time.perf_counter()
    elsewhere = replace(study, store_folder=tmp_path / "features")
    finished(prepare_bags(elsewhere, detector, DETECTION, seen, ONE))
    took = time.perf_counter() - start
    assert 0 < seconds_for(READING, 3, "cpu") <= took  # 2 of the 5 images have no cells
    (tmp_path / "paces.json").unlink()
    finished(prepare_bags(elsewhere, detector, DETECTION, seen, ONE))
    assert not (tmp_path / "paces.json").exists()


def test_samples_and_not_images_are_read_at_once(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed: type[Handed]
) -> None:
    noted: list[dict[str, float]] = []
    monkeypatch.setattr(paces, "LEAST_S", 0)
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    monkeypatch.setattr(paces, "write_json", lambda _, kept: noted.append(kept))
    clock = SimpleNamespace(perf_counter=iter([10, 18]).__next__)
    monkeypatch.setattr("napari_attmil.workflows.prepare.time", clock)
    first = cohort.samples[0]
    sample = replace(first, frames=first.frames * 4)
    study = Study.of(replace(cohort, samples=(sample,)))
    steps = prepare_bags(study, study.detector("cpu"), DETECTION, features_for(SETTINGS), TWO)
    while not noted:
        next(steps)
    assert noted == [{f"{READING} (cpu)": 8 / 4}]


def test_full_memory_leaves_no_sample_out_that_fewer_workers_can_search(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        yield from ()
        raise UserError("The device's memory is too small; choose cpu.") from MemoryError()

    monkeypatch.setattr("napari_attmil.workflows.detect_many.detect_cells", full)
    wanted = ToSearch(cohort.samples[0], [0])
    job = partial(search_sample, wanted, DETECTION, "cpu", tells_memory=True)
    assert run_job(job, 0, tmp_path, Path.cwd()).how == "out of memory"
    # There are no fewer than one.
    steps = list(detect_study(cohort.samples[:1], {}, DETECTION, "cpu", workers=ONE))
    assert ["too small" in step.note for step in steps] == [True]


def assert_same_prediction(one: Prediction, two: Prediction) -> None:
    for name in ("probabilities", "attention", "contribution"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_study_open_in_the_viewer_can_be_handed_to_a_worker(cohort: Cohort) -> None:
    session = Session()
    session.open_cohort(cohort)
    first, second = cohort.samples[:2]
    for sample in (first, second):
        found = Boxes.from_detections([0], [[2, 2, 40, 40]], [0.9])
        session.editor.merge(found, (0,), session.key_of(sample.name))
    study = Study.of(cohort, annotations=session.states_of_samples())
    one = pickle.loads(pickle.dumps(study.only(second)))
    assert one.cohort.samples == (second,)
    assert list(one.annotations) == [second.name]
    assert len(one.annotations[second.name].cells) == 1


def test_pace_of_long_work_counts_in_the_next_plan(
    make_bag: Callable[..., Bag], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    bags = [make_bag(seed, cells=500) for seed in range(4)]  # 8 channels of 14 x 14
    planned = Plan.of(bags, SETTINGS, 30, 3, "cpu", Workers(4))
    planned.note(paces.LEAST_S - 1)  # though 3 of the 4 workers have had something to do
    assert not (tmp_path / "paces.json").exists()
    planned.note(600, share=0.5)
    assert seconds_for(planned.kind, 2000 * 30, "cpu") == pytest.approx(2 * 3 * 600)
    assert planned.in_words() == (
        "2,000 cells, 0.0063 GB of features, about 20 minutes on 3 workers."
    )
    replace(planned, workers=ClusterWorkers(4)).note(60)
    note_reading(100, 600, ClusterWorkers(4), "cpu")
    assert seconds_for(planned.kind, 2000 * 30, "cpu") == pytest.approx(2 * 3 * 600)
    assert seconds_for(READING, 100, "cpu") == 80  # a cluster's is not this computer's
    (tmp_path / "paces.json").write_text("no paces")
    assert "less than a minute" in planned.in_words()


def test_each_worker_of_a_training_needs_memory_for_its_cells(
    make_bag: Callable[..., Bag], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(6), raising=False)
    memory = SimpleNamespace(available=12 << 30)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    bags = [make_bag(seed, cells=500) for seed in range(2)]
    assert Plan.of(bags, SETTINGS, 1e6, 6, "cpu", None).workers.number == 5
    assert Plan.of(bags * 1050, SETTINGS, 1e6, 6, "cpu", None).workers.number == 3  # 1 GB more each
    memory.available = 1 << 30
    assert Plan.of(bags, SETTINGS, 1e6, 6, "cpu", None).workers.number == 1


def test_as_many_workers_as_pay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paces, "_file", lambda: tmp_path / "paces.json")
    monkeypatch.setattr("napari_attmil.core.workers.most_workers", lambda *_: 6)
    note_pace(READING, 100, 100, "cpu")
    assert workers_to_read(None, 30, "cpu").number == 1
    assert workers_to_read(None, 90, "cpu").number == 6
    assert workers_to_read(TWO, 30, "cpu").number == 2
