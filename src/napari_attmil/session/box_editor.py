"""Corrections of the boxes of a session's samples; each change is one undo step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import (
    SAMPLE,
    accept_boxes,
    add_box,
    delete_boxes,
    edits_in_layer,
    move_box,
    new_uid,
    with_corrections,
)
from napari_attmil.core import Remedy, UserError, counted
from napari_attmil.session.keys import SampleKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_attmil.cells.exchange import ImportOutcome, ImportPlan
    from napari_attmil.core import Float32Array, Int64Array
    from napari_attmil.session.history import History
    from napari_attmil.session.keys import SessionKey
    from napari_attmil.session.sample_records import SampleRecord, SampleRecords
    from napari_attmil.session.sample_state import SampleState


class BoxEditor:
    """Corrects the boxes of the shown sample, and merges detections into any sample.

    Parameters
    ----------
    records, history
        The session's.
    """

    def __init__(self, records: SampleRecords, history: History) -> None:
        self._records, self._history = records, history

    def add(self, image_index: int, xyxy: npt.ArrayLike) -> int:
        """Add a person's box and return its id."""
        boxes = add_box(self._state.boxes, image_index, xyxy, self._state.next_id)
        self._edit("Draw 1 box", boxes=boxes)
        return int(boxes.cell_id[-1])

    def move(self, cell_id: int, xyxy: npt.ArrayLike) -> None:
        """Move or resize a box; it becomes the person's."""
        self._edit("Move 1 box", boxes=move_box(self._state.boxes, cell_id, xyxy))

    def accept(self, cell_ids: npt.ArrayLike) -> None:
        """Confirm boxes of the detector as they are."""
        before = self._state.boxes
        boxes = accept_boxes(before, cell_ids)
        count = int(np.count_nonzero(boxes.source != before.source))
        self._edit(f"Accept {counted(count, 'box', 'boxes')}", boxes=boxes)

    def delete(self, cell_ids: npt.ArrayLike) -> None:
        """Delete cells for good: a later detection does not bring them back."""
        boxes = self._state.boxes
        gone = boxes[np.isin(boxes.cell_id, np.asarray(cell_ids))]
        self._edit(
            f"Delete {counted(len(gone), 'box', 'boxes')}",
            boxes=delete_boxes(boxes, cell_ids),
            deleted=Boxes.concatenate([self._state.deleted, gone]),
        )

    def clear(self) -> None:
        """Start over: remove all boxes of the shown sample and all corrections."""
        self._edit(
            "Start over",
            boxes=Boxes.empty(),
            deleted=Boxes.empty(),
            searched=frozenset(),
            reviewed=frozenset(),
            notes={cell: note for cell, note in self._state.notes.items() if cell == SAMPLE},
        )

    def set_reviewed(self, image_index: int, reviewed: bool = True) -> None:
        """Mark an image's boxes as right and complete, or remove that mark.

        The detector's boxes in the image are accepted in the same undo step.
        """
        marks, boxes = self._state.reviewed - {image_index}, self._state.boxes
        if reviewed:
            marks |= {image_index}
            boxes = accept_boxes(boxes, self._state.cells.of_image(image_index).cell_id)
        self._edit("Reviewed" if reviewed else "Not reviewed", boxes=boxes, reviewed=marks)

    def merge(
        self,
        detected: Boxes,
        images: npt.ArrayLike | None = None,
        key: SessionKey | None = None,
        step: str = "",
        automatic: bool = False,
        within: Mapping[int, Float32Array] | None = None,
    ) -> bool:
        """Merge a detection; a person's boxes and deletions, and reviewed images, do not change.

        Parameters
        ----------
        detected
            The boxes of the detector.
        images
            The images that were searched; all by default. Boxes of other images do not change.
        key
            The sample; the shown one by default. Nothing happens if it belongs to a study that is
            no longer open.
        step
            Name of the step of undo that detections of several samples are; a new one by default.
        automatic
            Whether nobody asked for this detection: *Undo* then passes over it.
        within
            Of images that were searched only in part, these parts; see `with_corrections`. Such
            images do not count as searched.

        Returns
        -------
        bool
            Whether the sample's study is still open, so that the detection was merged.
        """
        if isinstance(key, SampleKey) and self._records.get(key) is None:
            return False
        key, record = self._to_edit(key)
        seen = range(len(record.sample)) if images is None else np.asarray(images).tolist()
        self._edit(
            "Detect cells",
            key,
            step,
            automatic,
            boxes=with_corrections(detected, record.state, images, within),
            searched=record.state.searched.union(set(seen).difference(within or ())),
        )
        return True

    def follow(
        self,
        cell_ids: npt.ArrayLike,
        image_index: npt.ArrayLike,
        xyxy: npt.ArrayLike,
        shown: npt.ArrayLike | None = None,
    ) -> Int64Array:
        """Update the boxes to those of a layer, as one undo step; see `edits_in_layer`.

        Returns
        -------
        (n,) int64
            The id of each row; 0 for a row too small to be a cell, which is left out.
        """
        state = self._state
        followed = edits_in_layer(state.boxes, cell_ids, image_index, xyxy, state.next_id, shown)
        if followed.title:
            deleted = Boxes.concatenate([state.deleted, followed.gone])
            self._edit(followed.title, boxes=followed.boxes, deleted=deleted)
        return followed.cell_id

    def bring_in(self, plan: ImportPlan, keys: Mapping[str, SessionKey]) -> ImportOutcome:
        """Merge another program's boxes into samples, as one undo step; see `ImportPlan`.

        Parameters
        ----------
        plan
            What is to come in.
        keys
            The keys of the samples that it may be for, by their names.
        """
        states = {name: self._records.state(key) for name, key in keys.items()}
        after, outcome = plan.merged_into(states)
        added, removed, step = outcome.counts.added, outcome.counts.removed, new_uid()
        title = f"Import {counted(added, 'box', 'boxes')}" if added or removed else "Import notes"
        for name, new in after.items():
            changes: dict[str, Any] = {"boxes": new.boxes, "deleted": new.deleted}
            changes |= {"reviewed": new.reviewed, "notes": new.notes}
            self._edit(title, keys[name], step, **changes)
        return outcome

    @property
    def undo_title(self) -> str:
        """The change that `undo` would revert ("Delete 3 boxes"); empty if there is none."""
        return self._history.undo_title

    @property
    def redo_title(self) -> str:
        """The change that `redo` would repeat; empty if there is none."""
        return self._history.redo_title

    def undo(self) -> None:
        """Revert this person's last change, in whichever sample, also of earlier sessions."""
        self._history.undo()

    def redo(self) -> None:
        """Repeat the change that was reverted last."""
        self._history.redo()

    # --- inside -----------------------------------------------------------------------------

    @property
    def _state(self) -> SampleState:
        return self._records.state(self._records.shown)

    def _to_edit(self, key: SessionKey | None = None) -> tuple[SessionKey, SampleRecord]:
        """Return a sample's key and record, the shown one's by default."""
        key = self._records.shown if key is None else key
        record = self._records.get(key)
        if key is None or record is None:
            raise UserError(
                "No images are chosen; choose an image layer, or open images first.",
                Remedy.OPEN_IMAGES,
            )
        return key, record

    def _edit(
        self,
        title: str,
        key: SessionKey | None = None,
        step: str = "",
        automatic: bool = False,
        **changes: Any,
    ) -> None:
        key, _ = self._to_edit(key)
        self._records.edit(key, title, step, automatic, **changes)
