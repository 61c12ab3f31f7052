from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.predictions import FakeClassifier, prediction

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.notes import SAMPLE
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.predictions import LoadedClassifier
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from psygnal import SignalInstance

    from napari_attmil.bags import Prediction
    from napari_attmil.cells.annotations.edits import Edit

DETECTED = Boxes.from_detections(
    [0, 0, 1], [[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 10]], [0.9, 0.8, 0.7]
)


def sample(name: str) -> Sample:
    return Sample(name, name, None, (Frame(Path(f"{name}.tif"), 0), Frame(Path(f"{name}.tif"), 1)))


@pytest.fixture
def session() -> Session:
    session = Session()
    session.show(sample("a"))
    session.editor.merge(DETECTED)
    return session


def listen(signal: SignalInstance) -> list[int]:
    heard = []
    signal.connect(lambda: heard.append(1))
    return heard


def prediction_of(boxes: Boxes) -> Prediction:
    n = len(boxes)
    return prediction(boxes.cell_id, np.full(n, 1 / n))


def test_detection_is_shown_and_told() -> None:
    session = Session()
    session.show(sample("a"))
    heard = listen(session.boxes_changed)
    session.editor.merge(DETECTED)
    assert session.boxes.cell_id.tolist() == [1, 2, 3]
    assert session.state.searched == {0, 1}
    assert heard == [1]


def test_person_box_and_deletion_survive_detecting_again(session: Session) -> None:
    drawn = session.editor.add(1, [40, 40, 50, 50])
    session.editor.delete([2])
    session.editor.merge(DETECTED)
    boxes = session.boxes
    assert boxes.xyxy[boxes.index_of(drawn)].tolist() == [[40, 40, 50, 50]]
    assert [20, 0, 30, 10] not in boxes.xyxy.tolist()
    assert len(boxes) == 3


def test_ids_are_never_used_twice(session: Session) -> None:
    drawn = session.editor.add(0, [40, 40, 50, 50])
    session.editor.delete([drawn])
    assert session.editor.add(0, [60, 60, 70, 70]) > drawn
    before = session.boxes.cell_id.max()
    session.editor.merge(DETECTED)
    model = session.boxes[session.boxes.source == Source.MODEL]
    assert model.cell_id.min() > before


def test_detection_of_one_image_leaves_the_others_alone(session: Session) -> None:
    found = Boxes.from_detections([0], [[5, 5, 15, 15]], [0.6])
    session.editor.merge(found, images=[0])
    assert session.boxes.of_image(0).xyxy.tolist() == [[5, 5, 15, 15]]
    assert session.boxes.of_image(1).cell_id.tolist() == [3]


def test_an_image_searched_in_part_does_not_count_as_searched(session: Session) -> None:
    session.editor.clear()
    found = Boxes.from_detections([0, 1], [[1, 1, 9, 9], [1, 1, 9, 9]], [0.9, 0.9])
    parts = {1: np.array([[0, 0, 20, 20]], np.float32)}
    session.editor.merge(found, [0, 1], within=parts)
    assert session.boxes.image_index.tolist() == [0, 1]
    assert session.state.searched == {0}


def test_undo_takes_back_and_redo_makes_again(session: Session) -> None:
    before = session.boxes.digest()
    session.editor.add(0, [40, 40, 50, 50])
    session.editor.delete([1])
    after = session.boxes.digest()
    session.editor.undo()
    session.editor.undo()
    assert session.boxes.digest() == before
    session.editor.redo()
    session.editor.redo()
    assert session.boxes.digest() == after
    assert not session.editor.redo_title


def test_undone_deletion_comes_back_with_the_next_detection(session: Session) -> None:
    session.editor.delete([2])
    session.editor.undo()
    session.editor.merge(DETECTED)
    assert [20, 0, 30, 10] in session.boxes.xyxy.tolist()


def test_new_change_forgets_what_was_undone(session: Session) -> None:
    session.editor.delete([1])
    session.editor.undo()
    session.editor.delete([2])
    assert not session.editor.redo_title


def test_following_a_layer_is_one_step_of_undo(session: Session) -> None:
    ids = session.editor.follow([2, 0], [0, 1], [[20, 0, 30, 10], [70, 70, 80, 80]])
    assert ids.tolist() == [2, 4]
    assert session.boxes.cell_id.tolist() == [2, 4]
    session.editor.undo()
    assert session.boxes.cell_id.tolist() == [1, 2, 3]


def test_following_what_is_there_already_is_no_change(session: Session) -> None:
    heard = listen(session.boxes_changed)
    boxes = session.boxes
    session.editor.follow(boxes.cell_id, boxes.image_index, boxes.xyxy)
    assert heard == []


def test_cell_deleted_in_the_layer_stays_away(session: Session) -> None:
    session.editor.follow([1, 3], [0, 1], DETECTED.xyxy[[0, 2]])
    session.editor.merge(DETECTED)
    assert len(session.boxes) == 2


def test_start_over_forgets_corrections(session: Session) -> None:
    session.editor.delete([1, 2, 3])
    session.editor.clear()
    session.editor.merge(DETECTED)
    assert len(session.boxes) == 3


def test_each_sample_keeps_its_own_boxes(session: Session) -> None:
    session.show(sample("b"))
    assert len(session.boxes) == 0 and session.editor.undo_title == "Detect cells"
    session.editor.add(0, [0, 0, 9, 9])
    session.show(sample("a"))
    assert session.boxes.cell_id.tolist() == [1, 2, 3]


def test_detection_that_ends_after_the_sample_changed_goes_where_it_belongs(
    session: Session,
) -> None:
    session.show(sample("b"))
    heard = listen(session.boxes_changed)
    session.editor.merge(DETECTED[:1], key=session.key_of("a"))
    assert heard == [] and len(session.boxes) == 0
    session.show(sample("a"))
    assert len(session.boxes) == 1


def test_cells_of_worked_on_samples_are_known_for_training(session: Session) -> None:
    session.show(sample("b"))
    assert list(session.states_of_samples()) == ["a"]


def test_other_cohort_forgets_samples_but_not_the_classifier(session: Session) -> None:
    model = FakeClassifier()
    session.predictions.use(LoadedClassifier(model, "m"))
    session.open_cohort(Cohort((sample("a"),), Path("x")))
    session.show(sample("a"))
    assert len(session.boxes) == 0
    assert session.predictions.classifier.model is model


def test_boxes_without_images_are_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="choose an image layer"):
        Session().editor.add(0, [0, 0, 10, 10])


def test_selection_drops_cells_that_are_gone(session: Session) -> None:
    session.select([3, 1, 99])
    assert session.selection == (1, 3)
    heard = listen(session.selection_changed)
    session.editor.delete([1])
    assert session.selection == (3,) and heard == [1]


def test_prediction_is_stale_once_boxes_change_and_fresh_again_after_undo(session: Session) -> None:
    session.predictions.set(prediction_of(session.boxes), session.boxes)
    assert not session.state.is_stale
    session.editor.add(0, [40, 40, 50, 50])
    assert session.state.is_stale
    session.editor.undo()
    assert not session.state.is_stale


def test_other_classifier_forgets_what_the_former_said(session: Session) -> None:
    model = FakeClassifier()
    session.predictions.use(LoadedClassifier(model, "one"))
    session.predictions.set(prediction_of(session.boxes), session.boxes)
    session.predictions.use(LoadedClassifier(model, "renamed"))
    assert session.state.prediction is not None
    session.predictions.use(LoadedClassifier(FakeClassifier(), "two"))
    assert session.state.prediction is None


def test_probabilities_follow_the_frequencies_of_the_classes_and_come_back(
    session: Session,
) -> None:
    loaded = LoadedClassifier(FakeClassifier(), "fake")
    predictions, prior = (
        session.predictions,
        {"healthy": 0.9, "sickle": 0.05, "spherocytosis": 0.05},
    )
    predictions.use(loaded)
    predictions.set(FakeClassifier().predict("one", session.boxes.cell_id), session.boxes)
    before = session.state.prediction
    told = listen(session.prediction_changed)
    predictions.set_prior(prior)
    # 0.1 x 0.9 : 0.7 x 0.05 : 0.2 x 0.05 = 18 : 7 : 2
    assert session.state.prediction is not None
    np.testing.assert_allclose(session.state.prediction.probabilities, [18 / 27, 7 / 27, 2 / 27])
    assert len(told) == 1 and predictions.classifier is not loaded
    assert predictions.classifier is not None and predictions.classifier.model.prior == prior
    # What is made of another version of the same classifier at the same time is welcome.
    assert predictions.is_in_use(loaded) and predictions.is_in_use(predictions.classifier)
    predictions.set(FakeClassifier().predict("one", session.boxes.cell_id), session.boxes)
    assert session.state.prediction.predicted == "healthy"
    predictions.set_prior(None)
    assert before is not None and session.state.prediction is not None
    np.testing.assert_array_equal(session.state.prediction.probabilities, before.probabilities)


def test_frequencies_wait_for_a_classifier_of_their_classes(session: Session) -> None:
    prior = {"a": 0.5, "b": 0.25, "c": 0.25}
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    session.predictions.set_prior(prior)
    assert session.predictions.classifier is not None
    assert session.predictions.classifier.model.prior is None
    session.predictions.use(LoadedClassifier(FakeClassifier(("a", "b", "c")), "fake"))
    assert session.predictions.classifier.model.prior == prior
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    assert session.predictions.classifier.model.prior is None


def test_a_prediction_that_cannot_follow_changes_nothing(session: Session) -> None:
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    said = FakeClassifier().predict("one", session.boxes.cell_id)
    session.predictions.set(replace(said, assumed=None), session.boxes)
    with pytest.raises(UserError, match="classify it again"):
        session.predictions.set_prior({"healthy": 8, "sickle": 1, "spherocytosis": 1})
    assert session.predictions.prior is None
    assert session.predictions.classifier is not None
    assert session.predictions.classifier.model.prior is None


def on_disk(folder: Path, *names: str) -> tuple[Cohort, AnnotationFile]:
    samples = tuple(Sample(name, name, None, (Frame(folder / f"{name}.tif"),)) for name in names)
    return Cohort(samples, folder), AnnotationFile(folder / "annotations.sqlite")


def test_corrections_are_there_again_when_the_cohort_is_reopened(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a", "b")
    first = Session()
    first.open_cohort(cohort, file)
    first.show(cohort.samples[0])
    first.editor.merge(Boxes.from_detections([0, 0], [[0, 0, 9, 9], [20, 20, 30, 30]], [0.9, 0.8]))
    first.editor.delete([1])
    drawn = first.editor.add(0, [40, 40, 50, 50])
    second = Session()
    second.open_cohort(cohort, file)
    second.show(cohort.samples[0])
    assert second.boxes.cell_id.tolist() == first.boxes.cell_id.tolist()
    assert second.boxes.xyxy.tolist() == first.boxes.xyxy.tolist()
    assert second.state.deleted.xyxy.tolist() == [[0, 0, 9, 9]]
    assert second.state.searched == {0}
    assert second.editor.add(0, [60, 60, 70, 70]) == drawn + 1
    assert set(second.states_of_samples()) == {"a"}


def test_undo_reaches_the_disk(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a")
    session = Session()
    session.open_cohort(cohort, file)
    session.show(cohort.samples[0])
    session.editor.add(0, [40, 40, 50, 50])
    session.editor.undo()
    kept = file.read(cohort.samples[0])
    assert kept is not None
    assert len(kept.boxes) == 0


def test_a_disk_that_fails_is_told_and_the_boxes_stay_in_memory(tmp_path: Path) -> None:
    class FullDisk(AnnotationFile):
        full = True

        def record(self, sample: Sample, edit: Edit, next_id: int, made_by: str = "") -> None:
            if self.full:
                raise UserError("The disk is full.")

    cohort, _ = on_disk(tmp_path, "a")
    session, disk, told = Session(), FullDisk(tmp_path / "full.sqlite"), list[str]()
    session.storage_failed.connect(told.append)
    session.open_cohort(cohort, disk)
    session.show(cohort.samples[0])
    session.editor.add(0, [0, 0, 9, 9])
    assert told == ["The disk is full."]
    assert len(session.boxes) == 1
    disk.full = False
    session.editor.add(0, [20, 20, 29, 29])
    assert len(session.boxes) == 2 and len(told) == 1


@pytest.mark.parametrize("asked_first", [True, False])
def test_a_history_that_cannot_be_read_is_told_and_costs_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_first: bool
) -> None:
    cohort, file = on_disk(tmp_path, "a")

    def busy(sample: Sample) -> None:
        raise UserError("Another program is writing.")

    monkeypatch.setattr(file, "history", busy)
    session, told = Session(), list[str]()
    session.storage_failed.connect(told.append)
    session.open_cohort(cohort, file)
    session.show(cohort.samples[0])
    if asked_first:
        assert not session.editor.undo_title and not session.editor.redo_title
        assert told == ["Another program is writing."]
    session.editor.add(0, [0, 0, 9, 9])
    assert len(session.boxes) == 1 and session.editor.undo_title == "Draw 1 box"
    kept = AnnotationFile(file.path).read(cohort.samples[0])
    assert kept is not None and len(kept.boxes) == 1


def test_a_detection_of_no_sample_is_refused_and_leaves_nothing_behind() -> None:
    session = Session()
    with pytest.raises(UserError, match="No images are chosen"):
        session.editor.merge(DETECTED)
    assert len(session.boxes) == 0
    with pytest.raises(UserError, match="No images are chosen"):
        session.editor.add(0, [0, 0, 9, 9])


def test_a_file_that_cannot_be_read_is_told_and_never_written_over(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a")
    file.path.write_text("somebody's notes, not a database " * 40)
    session, told = Session(), list[str]()
    session.storage_failed.connect(told.append)
    session.open_cohort(cohort, file)
    session.show(cohort.samples[0])
    session.editor.add(0, [0, 0, 9, 9])
    assert told and len(set(told)) == 1
    assert file.path.read_text().startswith("somebody's notes")


def test_undo_and_redo_go_on_after_a_restart(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a")
    first = Session()
    first.open_cohort(cohort, file)
    first.show(cohort.samples[0])
    first.editor.add(0, [0, 0, 9, 9])
    first.editor.add(0, [20, 20, 30, 30])
    first.editor.delete([1])
    first.editor.undo()
    first.editor.undo()
    second = Session()
    second.open_cohort(cohort, AnnotationFile(file.path))
    second.show(cohort.samples[0])
    assert (second.editor.undo_title, second.editor.redo_title) == ("Draw 1 box", "Draw 1 box")
    second.editor.redo()
    second.editor.redo()
    assert second.boxes.cell_id.tolist() == [2] and not second.editor.redo_title
    for _ in range(3):
        second.editor.undo()
    assert len(second.boxes) == 0 and not second.editor.undo_title
    assert second.editor.add(0, [0, 0, 9, 9]) == 3


def test_what_a_full_disk_refused_is_kept_when_another_sample_is_shown(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a", "b")
    session, told = Session(), list[str]()
    session.storage_failed.connect(told.append)
    session.open_cohort(cohort, file)
    session.show(cohort.samples[0])
    session.editor.add(0, [0, 0, 9, 9])
    with contextlib.closing(sqlite3.connect(file.path)) as connection:
        connection.executescript(
            "CREATE TRIGGER full BEFORE INSERT ON edits BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    session.editor.add(0, [20, 20, 29, 29])
    assert len(told) == 1 and file.has_pending
    with contextlib.closing(sqlite3.connect(file.path)) as connection:
        connection.execute("DROP TRIGGER full")
    session.show(cohort.samples[1])
    kept = AnnotationFile(file.path).read(cohort.samples[0])
    assert kept is not None and len(kept.boxes) == 2
    assert len(told) == 1 and not file.has_pending


def test_marking_an_image_reviewed_accepts_its_boxes_in_one_step(session: Session) -> None:
    heard = listen(session.reviewed_changed)
    session.editor.set_reviewed(0)
    assert session.state.reviewed == {0} and heard == [1]
    assert session.boxes.source.tolist() == [Source.ACCEPTED, Source.ACCEPTED, Source.MODEL]
    session.editor.undo()
    assert session.state.reviewed == frozenset() and heard == [1, 1]
    assert (session.boxes.source == Source.MODEL).all()


def test_an_empty_image_can_be_marked_reviewed_and_is_remembered(tmp_path: Path) -> None:
    cohort, file = on_disk(tmp_path, "a")
    session = Session()
    session.open_cohort(cohort, file)
    session.show(cohort.samples[0])
    session.editor.set_reviewed(0)
    again = Session()
    again.open_cohort(cohort, file)
    again.show(cohort.samples[0])
    assert again.state.reviewed == {0}
    again.editor.set_reviewed(0, False)
    kept = file.read(cohort.samples[0])
    assert kept is not None and kept.reviewed == frozenset()


def test_detection_leaves_reviewed_images_and_accepted_boxes_alone(session: Session) -> None:
    session.editor.accept([1])
    session.editor.set_reviewed(1)
    session.editor.merge(Boxes.from_detections([0, 1], [[60, 60, 70, 70]] * 2, [0.9, 0.9]))
    assert sorted(session.boxes.of_image(0).source.tolist()) == [Source.MODEL, Source.ACCEPTED]
    assert session.boxes.of_image(1).cell_id.tolist() == [3]


def test_steps_of_undo_are_named_as_a_person_would(session: Session) -> None:
    assert session.editor.undo_title == "Detect cells"
    session.editor.delete([1, 2])
    assert session.editor.undo_title == "Delete 2 boxes"
    session.editor.move(3, [1, 1, 11, 11])
    assert session.editor.undo_title == "Move 1 box"
    session.editor.undo()
    assert (session.editor.undo_title, session.editor.redo_title) == (
        "Delete 2 boxes",
        "Move 1 box",
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("add", "move", "delete", "accept", "review", "unreview", "detect", "clear"),
                *("undo", "tag", "untag", "note", "column"),
            )
        ),
        st.integers(0, 1),
        st.integers(0, 9),
    ),
    max_size=12,
)


def do(session: Session, step: str, image: int, place: int) -> None:
    """Do something to a session, as a person might."""
    ids = session.boxes.cell_id
    box = [10 * place, 0, 10 * place + 9, 9 + place]
    if step == "add":
        session.editor.add(image, box)
    elif step == "move" and len(ids):
        session.editor.move(int(ids[place % len(ids)]), box)
    elif step == "delete":
        session.editor.delete(ids[place : place + 2])
    elif step == "accept":
        session.editor.accept(ids[:place])
    elif step in ("review", "unreview"):
        session.editor.set_reviewed(image, step == "review")
    elif step == "detect":
        session.editor.merge(Boxes.from_detections([image], [box], [0.5]), images=[image])
    elif step == "clear":
        session.editor.clear()
    elif step in ("tag", "untag"):
        session.notes.tag([SAMPLE, *ids[:place]], "not altered", step == "tag")
    elif step == "note":
        session.notes.write(ids[:1], f"cell {place}")
    elif step == "column":
        session.notes.set_value([SAMPLE, *ids], "stage", "x" * (place % 3))
    else:
        session.editor.undo()


def content(session: Session) -> tuple[object, ...]:
    """Return all of a session's sample that edits can change."""
    state = session.state
    parts = [
        getattr(boxes, name).tolist()
        for boxes in (state.boxes, state.deleted)
        for name in ("cell_id", "image_index", "xyxy", "score", "source")
    ]
    return (*parts, state.searched, state.reviewed, dict(state.notes))


@given(STEPS, st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_edits_and_their_undo_are_the_identity_on_screen_and_disk(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], restarts: bool
) -> None:
    folder = tmp_path_factory.mktemp("study")
    two = Sample("a", "a", None, (Frame(folder / "a.tif"), Frame(folder / "b.tif")))
    cohort, file = Cohort((two,), folder), AnnotationFile(folder / "annotations.sqlite")
    session = Session()
    session.open_cohort(cohort, file)
    session.show(two)
    for step in steps:
        do(session, *step)
    after = content(session)
    if restarts:
        session = Session()
        session.open_cohort(cohort, AnnotationFile(file.path))
        session.show(two)
        assert content(session) == after
    count = 0
    while session.editor.undo_title:
        session.editor.undo()
        count += 1
    assert content(session) == content(Session())
    for _ in range(count):
        session.editor.redo()
    assert content(session) == after
    kept = file.read(two)
    assert (kept.boxes.xyxy.tolist() if kept else []) == session.boxes.xyxy.tolist()
