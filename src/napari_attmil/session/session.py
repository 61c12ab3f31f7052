"""What one viewer works on: cohort, sample, boxes, classifier and its predictions.

Panels and layers meet here: they write through the methods and listen to the signals. It knows
no Qt and no napari, and is written on the main thread only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import (
    accept_boxes,
    add_box,
    delete_boxes,
    follow_shown,
    move_box,
    with_corrections,
)
from napari_attmil.core import UserError, counted
from napari_attmil.session.kept_records import KeptRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_attmil.bags import Prediction
    from napari_attmil.core import Int64Array
    from napari_attmil.images import Cohort, Sample
    from napari_attmil.session.loaded_classifier import LoadedClassifier
    from napari_attmil.session.sample_state import AnnotationsOnDisk, SampleRecord, SampleState

SAMPLE = "sample "
"""The keys of a cohort's samples begin so."""
NOT_SAVED = (
    "Changes of this study's boxes are in memory only and would be lost: make room on the disk, or "
    "close what else uses the study, and try again; or stay, and save the layer of cells first."
)


class Session:
    """State of one viewer.

    Signals
    -------
    cohort_changed, sample_changed, classifier_changed
        Another cohort, sample or classifier is used.
    boxes_changed, prediction_changed, selection_changed
        The cells of the shown sample, their classification, or the cells picked out.
    reviewed_changed
        Images of the shown sample were marked as reviewed, or no longer are.
    not_kept(str)
        Boxes could not be written to disk or read from it; they stay in memory. Says why.
    """

    cohort_changed = Signal()
    sample_changed = Signal()
    boxes_changed = Signal()
    reviewed_changed = Signal()
    prediction_changed = Signal()
    selection_changed = Signal()
    classifier_changed = Signal()
    not_kept = Signal(str)

    def __init__(self) -> None:
        self._cohort: Cohort | None = None
        self._sample: Sample | None = None
        self._key = ""
        self._records = KeptRecords(self.not_kept.emit)
        self._openings = 0
        self._selection: tuple[int, ...] = ()
        self._classifier: LoadedClassifier | None = None

    # --- what is open -----------------------------------------------------------------------

    @property
    def cohort(self) -> Cohort | None:
        """The open cohort."""
        return self._cohort

    def open_cohort(
        self, cohort: Cohort, kept_in: AnnotationsOnDisk | None = None, discard: bool = False
    ) -> None:
        """Use another cohort; samples of the former one are forgotten, the shown one closed.

        Parameters
        ----------
        cohort
            The cohort.
        kept_in
            Where its boxes are read from, and written to with every change.
        discard
            Whether changes of the former cohort that are not on the disk may be lost.

        Raises
        ------
        UserError
            If there are such changes and they may not; the former cohort stays open.
        """
        self.keep_pending()
        if not discard and self._records.has_unsaved(self._of_cohort):
            raise UserError(NOT_SAVED)
        self._records.forget(self._of_cohort)
        self._openings += 1
        self._cohort = cohort
        self.show(None)
        if kept_in is not None:
            samples = {self.key_of(sample.name): sample for sample in cohort.samples}
            self._records.keep(samples, kept_in)
        self.cohort_changed.emit()

    def key_of(self, name: str) -> str:
        """Return the session's key of a sample of the open cohort.

        It is that of no sample of another cohort, also if the two have the same name: what was
        begun for a former cohort never reaches this one.
        """
        return f"{self._of_cohort}{name}"

    @property
    def shows_cohort(self) -> bool:
        """Whether the sample shown is one of the open cohort."""
        return self._key.startswith(self._of_cohort)

    @property
    def sample(self) -> Sample | None:
        """The sample that is shown."""
        return self._sample

    @property
    def key(self) -> str:
        """Names the shown sample for as long as the session lives; empty if there is none."""
        return self._key

    def show(self, sample: Sample | None, key: str | None = None) -> None:
        """Show another sample, or none.

        Parameters
        ----------
        sample
            The sample; its boxes and prediction come back if it was shown before.
        key
            Tells samples apart; by default the name within the cohort.
        """
        self.keep_pending()
        former, self._sample = self._key, sample
        self._key = "" if sample is None else key or self.key_of(sample.name)
        if self._key:
            self._records.know(self._key)
        if self._key != former:
            self._selection = ()
        self.sample_changed.emit()
        self.boxes_changed.emit()
        self.reviewed_changed.emit()
        self.prediction_changed.emit()
        self.selection_changed.emit()

    def keep(self, sample: Sample, kept_in: AnnotationsOnDisk, key: str) -> None:
        """Take over what was kept of a sample, and keep every change from now on."""
        if self._records.keep({key: sample}, kept_in):
            self._tell(key)

    def keep_pending(self) -> None:
        """Read and write what the disk refused; say if it still does."""
        for key in self._records.retry():
            self._tell(key)

    @property
    def has_pending(self) -> bool:
        """Whether there is something that could not be read or written yet."""
        return self._records.has_pending

    def is_kept(self, key: str) -> bool:
        """Return whether changes of a sample's boxes are written to disk."""
        return self._records[key].is_kept

    # --- boxes ------------------------------------------------------------------------------

    @property
    def state(self) -> SampleState:
        """What is known about the shown sample; empty if there is none."""
        return self._record.state

    @property
    def boxes(self) -> Boxes:
        """The cells of the shown sample."""
        return self.state.boxes

    def states_of_samples(self) -> Mapping[str, SampleState]:
        """Return what is known of the cohort's samples that were worked on, by sample name."""
        return self._records.states(self._of_cohort)

    def is_searched(self, key: str) -> bool:
        """Return whether the detector has seen all images of a sample."""
        return self._records[key].state.searched.issuperset(self._images_of(key))

    def add(self, image_index: int, xyxy: npt.ArrayLike) -> int:
        """Add a person's box and return its id."""
        record = self._record
        boxes = add_box(self.boxes, image_index, xyxy, record.next_id)
        self._edit("Draw 1 box", boxes=boxes)
        return int(boxes.cell_id[-1])

    def move(self, cell_id: int, xyxy: npt.ArrayLike) -> None:
        """Move or resize a box; it becomes the person's."""
        self._edit("Move 1 box", boxes=move_box(self.boxes, cell_id, xyxy))

    def accept(self, cell_ids: npt.ArrayLike) -> None:
        """Confirm boxes of the detector as they are."""
        boxes = accept_boxes(self.boxes, cell_ids)
        count = int(np.count_nonzero(boxes.source != self.boxes.source))
        self._edit(f"Accept {counted(count, 'box', 'boxes')}", boxes=boxes)

    def delete(self, cell_ids: npt.ArrayLike) -> None:
        """Delete cells for good: a later detection does not bring them back."""
        gone = self.boxes[np.isin(self.boxes.cell_id, np.asarray(cell_ids))]
        self._edit(
            f"Delete {counted(len(gone), 'box', 'boxes')}",
            boxes=delete_boxes(self.boxes, cell_ids),
            deleted=Boxes.concatenate([self.state.deleted, gone]),
        )

    def clear_boxes(self) -> None:
        """Start over: forget all boxes of the shown sample and all corrections."""
        self._edit(
            "Start over",
            boxes=Boxes.empty(),
            deleted=Boxes.empty(),
            searched=frozenset(),
            reviewed=frozenset(),
        )

    @property
    def reviewed(self) -> frozenset[int]:
        """Images of the shown sample whose boxes a person has confirmed."""
        return self.state.reviewed

    def set_reviewed(self, image_index: int, reviewed: bool = True) -> None:
        """Confirm that an image's boxes are right and complete, or take that back.

        The detector's boxes in it are accepted with it, as one step of undo.
        """
        marks, boxes = self.reviewed - {image_index}, self.boxes
        if reviewed:
            marks |= {image_index}
            boxes = accept_boxes(boxes, boxes.of_image(image_index).cell_id)
        state = "reviewed" if reviewed else "not reviewed"
        self._edit(f"Mark image {image_index + 1} as {state}", boxes=boxes, reviewed=marks)

    def merge(
        self,
        detected: Boxes,
        images: npt.ArrayLike | None = None,
        key: str | None = None,
        made_by: str = "",
    ) -> None:
        """Take over a detection; a person's boxes and deletions, and reviewed images, stay.

        Parameters
        ----------
        detected
            What the detector found.
        images
            The images it has seen; all by default. Boxes of the others stay as they are.
        key
            The sample it belongs to, if another one may be shown by now; one of a former cohort
            is passed over.
        made_by
            The detector's digest.
        """
        key = self._key if key is None else key
        if self._is_of_former_cohort(key):
            return
        if key:
            self._records.know(key)
        record = self._records[key]
        now = record.state.annotations(record.next_id)
        seen = frozenset(self._images_of(key) if images is None else np.asarray(images).tolist())
        self._edit(
            "Detect cells",
            key,
            made_by,
            boxes=with_corrections(detected, now, images),
            searched=now.searched | seen,
        )

    def follow(
        self,
        cell_ids: npt.ArrayLike,
        image_index: npt.ArrayLike,
        xyxy: npt.ArrayLike,
        images: npt.ArrayLike | None = None,
    ) -> Int64Array:
        """Make the boxes what a person sees, as one step of undo; see `follow_shown`.

        Returns
        -------
        (n,) int64
            The id of each row; 0 for a row too small to be a cell, which is left out.
        """
        first_id = self._record.next_id
        followed = follow_shown(self.boxes, cell_ids, image_index, xyxy, first_id, images)
        if followed.title:
            deleted = Boxes.concatenate([self.state.deleted, followed.gone])
            self._edit(followed.title, boxes=followed.boxes, deleted=deleted)
        return followed.cell_id

    @property
    def can_undo(self) -> bool:
        """Whether there is a change of the shown sample's boxes to take back."""
        return bool(self.undo_title)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self.redo_title)

    @property
    def undo_title(self) -> str:
        """What `undo` would take back ("Delete 3 boxes"); empty if there is nothing."""
        return self._with_history.undo_title

    @property
    def redo_title(self) -> str:
        """What `redo` would make again; empty if there is nothing."""
        return self._with_history.redo_title

    def undo(self) -> None:
        """Take back the last change of the boxes, also one of an earlier day."""
        self._change(self._key, self._record.undo)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._change(self._key, self._record.redo)

    # --- selection --------------------------------------------------------------------------

    @property
    def selection(self) -> tuple[int, ...]:
        """Ids of the cells that are picked out, ascending."""
        return self._selection

    def select(self, cell_ids: npt.ArrayLike) -> None:
        """Pick cells out; ids that are not there are passed over."""
        wanted = np.unique(np.asarray(cell_ids, dtype=np.int64))
        present = tuple(wanted[np.isin(wanted, self.boxes.cell_id)].tolist())
        if present != self._selection:
            self._selection = present
            self.selection_changed.emit()

    # --- classifier and prediction ----------------------------------------------------------

    @property
    def classifier(self) -> LoadedClassifier | None:
        """The classifier in use."""
        return self._classifier

    def use_classifier(self, classifier: LoadedClassifier | None) -> None:
        """Use another classifier; what the former one said is forgotten."""
        former = self._classifier
        self._classifier = classifier
        if former is None or classifier is None or former.model is not classifier.model:
            for _, record in self._records.items():
                record.state = replace(record.state, prediction=None)
            self.prediction_changed.emit()
        self.classifier_changed.emit()

    @property
    def prediction(self) -> Prediction | None:
        """What the classifier said about the shown sample."""
        return self.state.prediction

    def set_prediction(
        self, prediction: Prediction, classified: Boxes, key: str | None = None
    ) -> None:
        """Keep what the classifier said.

        Parameters
        ----------
        prediction
            What it said.
        classified
            The boxes it was said about.
        key
            The sample, if another one may be shown by now.
        """
        key = self._key if key is None else key
        if key not in self._records:
            return
        record = self._records[key]
        record.state = replace(record.state, prediction=prediction, classified=classified)
        if key == self._key:
            self.prediction_changed.emit()

    # --- inside -----------------------------------------------------------------------------

    @property
    def _record(self) -> SampleRecord:
        return self._records[self._key]

    @property
    def _of_cohort(self) -> str:
        return f"{SAMPLE}{self._openings}:"

    def _is_of_former_cohort(self, key: str) -> bool:
        return key.startswith(SAMPLE) and not key.startswith(self._of_cohort)

    @property
    def _with_history(self) -> SampleRecord:
        """The shown sample's record, its earlier edits read; it is told if they cannot be."""
        self._records.attempt(self._record.read_history)
        return self._record

    def _images_of(self, key: str) -> range:
        """Return the images of the shown sample, or of another one of the cohort."""
        samples = () if self._cohort is None else self._cohort.samples
        of_cohort = next((one for one in samples if self.key_of(one.name) == key), None)
        sample = self._sample if key == self._key else of_cohort
        return range(0 if sample is None else len(sample))

    def _edit(self, title: str, key: str | None = None, made_by: str = "", **changes: Any) -> None:
        key = self._key if key is None else key
        if key not in self._records:
            raise UserError("No images are chosen; choose an image layer or open a cohort first.")
        self._change(key, lambda: self._records[key].edit(title, made_by, **changes))

    def _change(self, key: str, change: Callable[[], None]) -> None:
        """Change a sample's record, and tell whom it concerns."""
        reviewed = self.reviewed
        self._records.attempt(change)
        self._tell(key)
        if self.reviewed != reviewed:
            self.reviewed_changed.emit()

    def _tell(self, key: str) -> None:
        if key != self._key:
            return
        self.boxes_changed.emit()
        self.select(self._selection)
