"""What one viewer works on: cohort, sample, boxes, classifier and its predictions.

Panels and layers meet here: they write through the methods and listen to the signals. It knows
no Qt and no napari, and is written on the main thread only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_attmil.cells.boxes import Boxes, IntArray
from napari_attmil.cells.corrections import add_box, delete_boxes, merge_detections
from napari_attmil.sample_state import History, SampleState, Version, follow_rows
from napari_attmil.settings import FeatureSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Prediction
    from napari_attmil.cells.project import Annotations
    from napari_attmil.images.cohort import Cohort, Sample

UNDO_STEPS: Final = 200


class ClassifierLike(Protocol):
    """What the session's users need of a classifier."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def feature_settings(self) -> FeatureSettings:
        """How the features it was trained on were read."""

    @property
    def description(self) -> str:
        """How many models it asks, and what they were calibrated on."""

    def classify(self, bag: Bag) -> Prediction:
        """Say which class a sample belongs to, and which cells decided."""

    def save(self, path: Path) -> None:
        """Write the model file."""


class AnnotationsOnDisk(Protocol):
    """Where boxes are kept as soon as they change; see `cells.project.AnnotationFile`."""

    def read(self, sample: Sample) -> Annotations | None:
        """Return what was kept of a sample."""

    def write(self, sample: Sample, annotations: Annotations) -> None:
        """Keep a sample's boxes, or raise a UserError."""


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier and where it is kept.

    Attributes
    ----------
    model
        The classifier.
    name
        What the person calls it.
    path
        The file it was read from or last saved to.
    """

    model: ClassifierLike
    name: str
    path: Path | None = None


class Session:
    """State of one viewer.

    Signals
    -------
    cohort_changed, sample_changed, classifier_changed
        Another cohort, sample or classifier is used.
    boxes_changed, prediction_changed, selection_changed
        The cells of the shown sample, their classification, or the cells picked out.
    not_kept(str)
        Boxes could not be written to disk or read from it; they stay in memory. Says why.
    """

    cohort_changed = Signal()
    sample_changed = Signal()
    boxes_changed = Signal()
    prediction_changed = Signal()
    selection_changed = Signal()
    classifier_changed = Signal()
    not_kept = Signal(str)

    def __init__(self) -> None:
        self._cohort: Cohort | None = None
        self._sample: Sample | None = None
        self._key = ""
        self._states: dict[str, SampleState] = {}
        self._histories: dict[str, History] = {}
        self._selection: tuple[int, ...] = ()
        self._classifier: LoadedClassifier | None = None
        self._samples: dict[str, Sample] = {}
        self._kept_in: dict[str, AnnotationsOnDisk] = {}

    # --- what is open -----------------------------------------------------------------------

    @property
    def cohort(self) -> Cohort | None:
        """The open cohort."""
        return self._cohort

    def open_cohort(self, cohort: Cohort, kept_in: AnnotationsOnDisk | None = None) -> None:
        """Use another cohort; samples of the former one are forgotten, the shown one closed.

        Parameters
        ----------
        cohort
            The cohort.
        kept_in
            Where its boxes are read from, and written to with every change.
        """
        for key in [key for key in self._states if key.startswith("sample:")]:
            del self._states[key], self._histories[key]
            self._samples.pop(key, None)
            self._kept_in.pop(key, None)
        self._cohort = cohort
        self.show(None)
        if kept_in is not None:
            for sample in cohort.samples:
                self.keep(sample, kept_in, sample_key(sample.name))
        self.cohort_changed.emit()

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
        self._sample = sample
        self._key = "" if sample is None else key or sample_key(sample.name)
        if self._key:
            self._know(self._key)
        self._selection = ()
        self.sample_changed.emit()
        self.boxes_changed.emit()
        self.prediction_changed.emit()
        self.selection_changed.emit()

    def keep(self, sample: Sample, kept_in: AnnotationsOnDisk, key: str) -> None:
        """Take over what was kept of a sample, and keep every change from now on."""
        self._know(key)
        self._samples[key], self._kept_in[key] = sample, kept_in
        try:
            kept = kept_in.read(sample)
        except UserError as error:
            del self._kept_in[key]
            self.not_kept.emit(str(error))
            return
        if kept is not None:
            self._states[key] = SampleState(kept.boxes, kept.deleted, kept.detected)
            self._histories[key].next_id = kept.next_id
            self._tell_boxes_changed(key)

    def is_kept(self, key: str) -> bool:
        """Return whether changes of a sample's boxes are written to disk."""
        return key in self._kept_in

    # --- boxes ------------------------------------------------------------------------------

    @property
    def state(self) -> SampleState:
        """What is known about the shown sample; empty if there is none."""
        return self._states.get(self._key, SampleState())

    @property
    def boxes(self) -> Boxes:
        """The cells of the shown sample."""
        return self.state.boxes

    def states_of_samples(self) -> Mapping[str, SampleState]:
        """Return what is known of the cohort's samples that were worked on, by sample name."""
        prefix = sample_key("")
        return {
            key.removeprefix(prefix): state
            for key, state in self._states.items()
            if key.startswith(prefix) and (state.detected or len(state.boxes) or len(state.deleted))
        }

    def add(self, image_index: int, xyxy: npt.ArrayLike) -> int:
        """Add a person's box and return its id."""
        boxes = add_box(self.boxes, image_index, xyxy, self._history.next_id)
        self._write(boxes)
        return int(boxes.cell_id[-1])

    def delete(self, cell_ids: npt.ArrayLike) -> None:
        """Delete cells for good: a later detection does not bring them back."""
        gone = self.boxes[np.isin(self.boxes.cell_id, np.asarray(cell_ids))]
        self._write(
            delete_boxes(self.boxes, cell_ids), Boxes.concatenate([self.state.deleted, gone])
        )

    def clear_boxes(self) -> None:
        """Start over: forget all boxes of the shown sample and all corrections."""
        self._write(Boxes.empty(), Boxes.empty(), detected=False)

    def merge(
        self, detected: Boxes, images: npt.ArrayLike | None = None, key: str | None = None
    ) -> None:
        """Take over a detection; a person's boxes and deletions stay.

        Parameters
        ----------
        detected
            What the detector found.
        images
            The images it has seen; all by default. Boxes of the others stay as they are.
        key
            The sample it belongs to, if another one may be shown by now.
        """
        key = self._key if key is None else key
        self._know(key)
        state = self._states[key]
        seen = np.ones(len(state.boxes), dtype=bool)
        if images is not None:
            seen = np.isin(state.boxes.image_index, np.asarray(images))
        merged = merge_detections(
            state.boxes[seen], detected, state.deleted, self._histories[key].next_id
        )
        joined = Boxes.concatenate([state.boxes[~seen], merged]).sorted_by_image()
        self._write(joined, detected=state.detected or images is None, key=key)

    def follow(
        self, cell_ids: npt.ArrayLike, image_index: npt.ArrayLike, xyxy: npt.ArrayLike
    ) -> IntArray:
        """Make the boxes what a person sees, as one step of undo; see `follow_rows`.

        Returns
        -------
        (n,) int64
            The id of each row; 0 for a row too small to be a cell, which is left out.
        """
        boxes, ids = follow_rows(self.boxes, cell_ids, image_index, xyxy, self._history.next_id)
        if boxes.digest() != self.boxes.digest():
            gone = self.boxes[~np.isin(self.boxes.cell_id, boxes.cell_id)]
            self._write(boxes, Boxes.concatenate([self.state.deleted, gone]))
        return ids

    @property
    def can_undo(self) -> bool:
        """Whether there is a change of the shown sample's boxes to take back."""
        return bool(self._history.undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._history.redo)

    def undo(self) -> None:
        """Take back the last change of the boxes."""
        self._step(self._history.undo, self._history.redo)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._step(self._history.redo, self._history.undo)

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
            self._states = {
                key: replace(state, prediction=None) for key, state in self._states.items()
            }
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
        if key not in self._states:
            return
        self._states[key] = replace(self._states[key], prediction=prediction, classified=classified)
        if key == self._key:
            self.prediction_changed.emit()

    # --- inside -----------------------------------------------------------------------------

    @property
    def _history(self) -> History:
        return self._histories.get(self._key, History())

    def _know(self, key: str) -> None:
        self._states.setdefault(key, SampleState())
        self._histories.setdefault(key, History())

    def _write(
        self,
        boxes: Boxes,
        deleted: Boxes | None = None,
        detected: bool | None = None,
        key: str | None = None,
    ) -> None:
        key = self._key if key is None else key
        if key not in self._states:
            raise UserError("No images are chosen; choose an image layer or open a cohort first.")
        state, history = self._states[key], self._histories[key]
        history.undo = [*history.undo, _version(state)][-UNDO_STEPS:]
        history.redo = []
        history.next_id = max(history.next_id, boxes.next_id)
        self._states[key] = replace(
            state,
            boxes=boxes,
            deleted=state.deleted if deleted is None else deleted,
            detected=state.detected if detected is None else detected,
        )
        self._write_to_disk(key)
        self._tell_boxes_changed(key)

    def _step(self, source: list[Version], target: list[Version]) -> None:
        if not source:
            return
        target.append(_version(self.state))
        version = source.pop()
        self._states[self._key] = replace(
            self.state,
            boxes=version.boxes,
            deleted=version.deleted,
            detected=version.detected,
        )
        self._write_to_disk(self._key)
        self._tell_boxes_changed(self._key)

    def _write_to_disk(self, key: str) -> None:
        if key not in self._kept_in:
            return
        kept = self._states[key].annotations(self._histories[key].next_id)
        try:
            self._kept_in[key].write(self._samples[key], kept)
        except UserError as error:
            self.not_kept.emit(str(error))

    def _tell_boxes_changed(self, key: str) -> None:
        if key != self._key:
            return
        self.boxes_changed.emit()
        self.select(self._selection)


def sample_key(name: str) -> str:
    """Return the session's key of a cohort's sample."""
    return f"sample:{name}"


def _version(state: SampleState) -> Version:
    return Version(state.boxes, state.deleted, state.detected)
