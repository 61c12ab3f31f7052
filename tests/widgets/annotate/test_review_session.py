"""A person's session with real images, by real mouse and key events in a real window."""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from support.pages.annotate import AnnotatePage

from napari_attmil import workflows
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.reading import open_cohort, read_images
from napari_attmil.session.review_queue import ReviewState
from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.workflows import NEVER, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from threading import Event

    from pytestqt.qtbot import QtBot
    from support.hand import Hand

    from napari_attmil.images import Cohort

IMAGES, CORRECTED, WRONG_OF_A_KIND = 20, 5, 2
HALF_PX, SHIFT_PX, APART_PX = 19, 9, 44
NEARLY_ALL = 60
"""Images with so many labels lack hardly any."""
GRID = [np.array([x, y], dtype=float) for x in range(60, 600, 12) for y in range(60, 430, 12)]


class Plan:
    """For one image: what the detector says, and what is wrong with it."""

    def __init__(self, centres: npt.NDArray[Any]) -> None:
        alone = [
            c for c in centres if is_inside(c) and np.sort(distances(centres, c))[1] > APART_PX
        ]
        empty = [c for c in GRID if distances(centres, c).min() > APART_PX]
        self.missing = alone[:WRONG_OF_A_KIND]
        self.shifted = alone[WRONG_OF_A_KIND : 2 * WRONG_OF_A_KIND]
        self.false = empty[:: max(len(empty) - 1, 1)][:WRONG_OF_A_KIND]
        self.is_good = len(centres) >= NEARLY_ALL and len(alone) >= 4 and len(empty) >= 2
        wrong = {tuple(c) for c in (*self.missing, *self.shifted)}
        right = [c for c in centres if tuple(c) not in wrong]
        said = [*(c + SHIFT_PX for c in self.shifted), *right, *self.false]
        self.boxes = np.array([[*(c - HALF_PX), *(c + HALF_PX)] for c in said], dtype=np.float32)


def distances(places: npt.NDArray[Any], place: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.hypot(*(places - place).T)


def is_inside(place: npt.NDArray[Any]) -> bool:
    return bool(np.all(place > 50) and np.all(place < (590, 430)))


@pytest.fixture(scope="module")
def cells_of(real_data: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the labelled centres of real images, by file name."""
    centres = defaultdict(list)
    with (real_data / "chula" / "cells.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            centres[row["image"]].append((float(row["x"]), float(row["y"])))
    return {name: np.array(rows) for name, rows in centres.items()}


@pytest.fixture
def study(
    tmp_path: Path,
    real_data: Path,
    cells_of: dict[str, npt.NDArray[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Cohort, dict[str, Plan]]:
    """Return a cohort of real images and the plan for each, by sample; the detector is a fake."""
    plans = {name: Plan(centres) for name, centres in sorted(cells_of.items())}
    names = [name for name, plan in plans.items() if plan.is_good][:IMAGES]
    for number, name in enumerate(names):
        folder = tmp_path / "smear" / f"p{number:02d}" / f"p{number:02d}-1"
        folder.mkdir(parents=True)
        shutil.copy(real_data / "chula" / "images" / name, folder / name)
    cohort = open_cohort(tmp_path)
    by_sample = {sample.name: plans[sample.frames[0].path.name] for sample in cohort.samples}
    said = {
        np.asarray(read_images(sample)[0]).tobytes(): by_sample[sample.name].boxes
        for sample in cohort.samples
    }

    def detect(
        images: Any,
        places: Sequence[int],
        settings: Any,
        device_name: str,
        weights: Path | None = None,
        stop: Event = NEVER,
    ) -> Stage[workflows.Detection]:
        yield Progress(0, 1, "")
        boxes = said[np.asarray(images[places[0]]).tobytes()]
        count = len(boxes)
        return workflows.Detection(
            Boxes.from_detections(np.full(count, places[0]), boxes, np.full(count, 0.9)),
            tuple(places),
        )

    monkeypatch.setattr(workflows, "detect_cells", detect)
    return cohort, by_sample


def open_bench(viewer: Any, cohort: Cohort) -> AnnotateWidget:
    bench = AnnotateWidget(viewer)
    viewer.window.add_dock_widget(bench, area="right")
    viewer.window.resize(1500, 950)
    viewer.window.show()
    QApplication.processEvents()
    bench.context.image_choice.use_cohort(cohort)
    QApplication.processEvents()
    return bench


def correct(hand: Hand, bench: AnnotateWidget, plan: Plan) -> None:
    """Add, move and delete what is wrong in the image shown."""
    session = bench.context.session
    for x, y in plan.missing:
        before = len(session.boxes)
        hand.point_at(x, y)
        hand.key(Qt.Key.Key_Q)
        if len(session.boxes) == before:  # not obvious: drawn, and the tool put back
            hand.key(Qt.Key.Key_W)
            hand.drag((x - HALF_PX, y - HALF_PX), (x + HALF_PX, y + HALF_PX))
            hand.key(Qt.Key.Key_M)
    for x, y in plan.shifted:
        hand.drag((x + SHIFT_PX, y + SHIFT_PX), (x, y))
    for x, y in plan.false:
        hand.point_at(x, y)
        hand.key(Qt.Key.Key_K)


@pytest.mark.real_data
def test_a_session_of_corrections_is_all_there_after_reopening(
    make_napari_viewer: Callable[..., Any],
    make_hand: Callable[[Any], Hand],
    study: tuple[Cohort, dict[str, Plan]],
    qtbot: QtBot,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cohort, plans = study
    viewer = make_napari_viewer(show=True)
    bench = open_bench(viewer, cohort)
    session, hand = bench.context.session, make_hand(viewer)
    AnnotatePage(bench).detect_ahead()
    actions = []
    for number in range(CORRECTED):
        qtbot.waitUntil(
            lambda: bench.reviewing.entry.state == ReviewState.PREDICTED, timeout=20_000
        )
        if number == 0:
            hand.key(Qt.Key.Key_M)
        name, plan = session.sample.name, plans[session.sample.name]
        before, hand.actions = len(session.boxes), 0
        correct(hand, bench, plan)
        assert len(session.boxes) == before
        assert len(session.state.deleted) == WRONG_OF_A_KIND
        assert np.count_nonzero(session.boxes.source == Source.PERSON) == 2 * WRONG_OF_A_KIND
        if number == CORRECTED - 1:
            break
        hand.key(Qt.Key.Key_N)
        actions.append(hand.actions)
        assert session.sample.name != name
    for _ in range(5):
        hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.count_nonzero(session.boxes.source == Source.PERSON) == 1
    last = session.sample.name
    hand.key(Qt.Key.Key_N)
    known = session.states_of_samples()
    bench.close_panel()
    viewer.close()

    viewer = make_napari_viewer(show=True)
    bench = open_bench(viewer, cohort)
    again = bench.context.session.states_of_samples()
    assert list(again) == list(known)
    for name, state in known.items():
        assert again[name].boxes.digest() == state.boxes.digest()
        assert again[name].boxes.source.tolist() == state.boxes.source.tolist()
        assert again[name].reviewed == state.reviewed
    assert bench.review_bar.text().startswith(f"{CORRECTED} of {IMAGES} reviewed")
    bench.reviewing.show((last, 0))
    hand = make_hand(viewer)
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not bench.context.session.state.reviewed
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.count_nonzero(bench.context.session.boxes.source == Source.PERSON) == 0
    bench.close_panel()
    with capsys.disabled():
        print(f"\nactions an image with {3 * WRONG_OF_A_KIND} wrong boxes: {actions}")
    assert np.mean(actions) <= 3 * WRONG_OF_A_KIND + 1
