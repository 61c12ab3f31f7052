"""The state of one viewer: cohort, sample, boxes, classifier and predictions.

Panels and layers share it: they change it through its methods and listen to its signals. It
depends on neither Qt nor napari, and is changed on the main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_attmil.core import UserError
from napari_attmil.session.box_editor import BoxEditor
from napari_attmil.session.history import History
from napari_attmil.session.keys import SampleKey
from napari_attmil.session.predictions import Predictions
from napari_attmil.session.sample_notes import SampleNotes
from napari_attmil.session.sample_records import SampleRecords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.cells import Boxes
    from napari_attmil.cells.annotations import AnnotationFile
    from napari_attmil.images import Cohort, Sample
    from napari_attmil.session.keys import SessionKey
    from napari_attmil.session.sample_state import SampleState

NOT_SAVED = (
    "Changes of this study's boxes are in memory only and would be lost: make room on the disk, or "
    "close what else uses the study, and try again; or stay, and save the layer of cells first."
)


class Session:
    """The state of one viewer, with a signal for each change.

    Attributes
    ----------
    records
        The states of all samples, and the files of their boxes.
    editor
        Corrects the boxes, with undo and redo.
    history
        All that was done to the samples, in one order; undo and redo walk it.
    notes
        Tags, notes and own columns of cells and samples.
    predictions
        The classifier and its predictions.

    Signals
    -------
    cohort_changed, sample_changed, classifier_changed
        Another cohort, sample or classifier is used.
    boxes_changed, prediction_changed, selection_changed
        The cells of the shown sample, their classification, or the selected ones.
    reviewed_changed
        Images of the shown sample were marked as reviewed, or no longer are.
    storage_failed(str)
        Boxes could not be written to the disk or read from it, and stay in memory; with the reason.
    """

    cohort_changed = Signal()
    sample_changed = Signal()
    boxes_changed = Signal()
    reviewed_changed = Signal()
    prediction_changed = Signal()
    selection_changed = Signal()
    classifier_changed = Signal()
    storage_failed = Signal(str)

    def __init__(self) -> None:
        self._cohort: Cohort | None = None
        self._sample: Sample | None = None
        self._openings = 0
        self._selection: tuple[int, ...] = ()
        self._reviewed: frozenset[int] = frozenset()
        """Of the shown sample, when `reviewed_changed` was last emitted."""
        # Signals hold listeners weakly, so files are closed as soon as a session is unused.
        self.records = SampleRecords(self.storage_failed.emit)
        self.records.changed.connect(self._on_boxes)
        self.history = History(self.records)
        self.editor = BoxEditor(self.records, self.history)
        self.notes = SampleNotes(self.records)
        self.predictions = Predictions(
            self.records, self.prediction_changed, self.classifier_changed
        )

    @property
    def cohort(self) -> Cohort | None:
        """The open cohort."""
        return self._cohort

    def open_cohort(
        self, cohort: Cohort, file: AnnotationFile | None = None, discard: bool = False
    ) -> None:
        """Use another cohort; the samples of the former one are closed.

        Parameters
        ----------
        cohort
            The cohort.
        file
            Where its boxes are read from, and written to with every change.
        discard
            Whether unsaved changes of the former cohort may be lost.

        Raises
        ------
        UserError
            If there are such changes and `discard` is False; the former cohort stays open.
        """
        self.records.retry()
        if not discard and self.records.has_unsaved_samples:
            raise UserError(NOT_SAVED)
        self.records.forget_samples()
        self._openings += 1
        self._cohort = cohort
        self.show(None)
        samples: dict[SessionKey, Sample] = {self.key_of(s.name): s for s in cohort.samples}
        for key, sample in samples.items():
            self.records.begin(key, sample)
        if file is not None:
            self.records.forget_layers_of(cohort.samples)
            self.records.attach(samples, file)
        self.cohort_changed.emit()

    def key_of(self, name: str) -> SampleKey:
        """Return the key of a sample of the open cohort."""
        return SampleKey(name, self._openings)

    @property
    def shows_cohort(self) -> bool:
        """Whether the sample shown is one of the open cohort."""
        return isinstance(self.key, SampleKey)

    @property
    def sample(self) -> Sample | None:
        """The sample that is shown."""
        return self._sample

    @property
    def key(self) -> SessionKey | None:
        """The key of the shown sample."""
        return self.records.shown

    def show(self, sample: Sample | None, key: SessionKey | None = None) -> None:
        """Show another sample, or none.

        Parameters
        ----------
        sample
            The sample; its boxes and prediction come back if it was shown before.
        key
            Its key, if it is not one of the cohort.
        """
        self.records.retry()
        former, self._sample = self.key, sample
        self.records.shown = None
        if sample is not None:
            self.records.shown = key or self.key_of(sample.name)
            self.records.begin(self.records.shown, sample)
        if self.key != former:
            self._selection = ()
        self._reviewed = self.state.reviewed
        self.sample_changed.emit()
        self.boxes_changed.emit()
        self.reviewed_changed.emit()
        self.prediction_changed.emit()
        self.selection_changed.emit()

    @property
    def state(self) -> SampleState:
        """The state of the shown sample; `UNTOUCHED` if there is none."""
        return self.records.state(self.key)

    @property
    def boxes(self) -> Boxes:
        """The cells of the shown sample."""
        return self.state.boxes

    def states_of_samples(self) -> Mapping[str, SampleState]:
        """Return the states, by name, of the cohort's samples that have been worked on."""
        return self.records.states_of_samples()

    @property
    def selection(self) -> tuple[int, ...]:
        """Ids of the selected cells, ascending."""
        return self._selection

    def select(self, cell_ids: npt.ArrayLike) -> None:
        """Select cells; ids that the shown sample does not have are ignored."""
        wanted = np.unique(np.asarray(cell_ids, dtype=np.int64))
        present = tuple(wanted[np.isin(wanted, self.boxes.cell_id)].tolist())
        if present != self._selection:
            self._selection = present
            self.selection_changed.emit()

    def _on_boxes(self, key: SessionKey) -> None:
        if key != self.key:
            return
        former, self._reviewed = self._reviewed, self.state.reviewed
        self.boxes_changed.emit()
        self.select(self._selection)
        if former != self.state.reviewed:
            self.reviewed_changed.emit()
