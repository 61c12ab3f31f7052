"""The queue of images to review: its order, the image shown, and the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_attmil.core import Remedy, counted
from napari_attmil.images import Sample
from napari_attmil.session import (
    UNTOUCHED,
    QueueEntry,
    QueueOrder,
    ReviewPace,
    ReviewState,
    SampleKey,
    SessionKey,
    entries_of,
    neighbour,
    reviewed_count,
    sorted_entries,
)
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, begin, tell, to_panel
from napari_attmil.widgets.viewer import Place

TOPIC = "review"


class Reviewing(Listening, QObject):
    """The queue of one viewer, as one panel goes through it.

    Parameters
    ----------
    context
        The panel's.

    Signals
    -------
    queue_changed()
        Other images are in the queue, or in another order.
    entries_changed(entries)
        Images of the queue have another state.
    place_changed()
        Another image is shown.
    hinted(text)
        Why no other image is shown.
    """

    queue_changed = Signal()
    entries_changed = Signal(object)
    place_changed = Signal()
    hinted = Signal(str)

    def __init__(self, context: PanelContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._entries: dict[str, list[QueueEntry]] = {}
        self._queue: list[QueueEntry] = []
        self._rows: dict[Place, int] = {}
        self._unreadable: set[str] = set()
        """Samples that could not be shown; the keys skip them."""
        self._order, self._states = QueueOrder.STUDY, frozenset(ReviewState)
        self.samples: Sequence[Sample] = ()
        self.pace = ReviewPace()
        session = context.session
        self.listen(session.cohort_changed, self.refresh)
        self.listen(session.sample_changed, self._on_sample)
        self.listen(session.boxes_changed, self._on_edit)
        self.listen(session.records.changed, self._on_record)
        self.listen(context.viewer.dims.events.current_step, self._tell_place)
        self.refresh()

    # --- what there is ----------------------------------------------------------------------

    @property
    def queue(self) -> Sequence[QueueEntry]:
        """The images to go through, in the chosen order."""
        return self._queue

    @property
    def place(self) -> Place | None:
        """The image shown."""
        sample = self._context.session.sample
        if sample is None or self._context.images is None:
            return None
        return sample.name, self._context.cells.camera.image_index()

    @property
    def entry(self) -> QueueEntry | None:
        """The state of the image shown."""
        place = self.place
        entries = self._entries.get(place[0], []) if place else []
        return entries[place[1]] if place and place[1] < len(entries) else None

    @property
    def can_go(self) -> bool:
        """Whether an image is shown, or there is one to show."""
        return self.place is not None or bool(self._readable())

    def counts(self) -> tuple[int, int]:
        """Return how many images are reviewed, and how many there are."""
        entries = list(chain.from_iterable(self._entries.values()))
        return reviewed_count(entries), len(entries)

    def entry_at(self, place: Place) -> QueueEntry | None:
        """Return the state of an image."""
        return self._entries[place[0]][place[1]] if place[0] in self._entries else None

    def arrange(self, order: QueueOrder, states: frozenset[ReviewState]) -> None:
        """Put the queue in another order, with images of some states only."""
        self._order, self._states = order, states
        entries = chain.from_iterable(self._entries.values())
        self._queue = sorted_entries([entry for entry in entries if entry.state in states], order)
        self._rows = {entry.place: row for row, entry in enumerate(self._queue)}
        self.queue_changed.emit()

    def refresh(self) -> None:
        """Read again which images there are, and their states."""
        session, cohort = self._context.session, self._context.session.cohort
        own = () if session.sample is None else (session.sample,)
        of_cohort = cohort is not None and (not own or self._is_of_cohort(own[0]))
        self.samples = cohort.samples if cohort is not None and of_cohort else own
        states = session.states_of_samples() if of_cohort else {}
        self._unreadable.clear()
        self._entries = {
            sample.name: entries_of(sample, states.get(sample.name, UNTOUCHED))
            for sample in self.samples
        }
        if not of_cohort and own:
            self._entries[own[0].name] = entries_of(own[0], session.state)
        self.arrange(self._order, self._states)
        self.place_changed.emit()

    def refresh_sample(self, name: str) -> None:
        """Read again the states of one sample's images; they keep their place in the queue."""
        sample = next((sample for sample in self.samples if sample.name == name), None)
        if sample is None:
            return
        session = self._context.session
        is_shown = sample is session.sample
        state = session.state if is_shown else session.states_of_samples().get(name, UNTOUCHED)
        entries = entries_of(sample, state)
        if entries == self._entries[name]:
            return
        self._entries[name] = entries
        for entry in entries:
            if entry.place in self._rows:
                self._queue[self._rows[entry.place]] = entry
        self.entries_changed.emit(entries)

    def key_of(self, sample: Sample) -> SessionKey | None:
        """Return the session's key of a sample of the queue."""
        session = self._context.session
        return session.key if sample is session.sample else session.key_of(sample.name)

    # --- going through it -------------------------------------------------------------------

    def functions(self) -> dict[str, Callable[[], None]]:
        """Return what the keys do, by the action's name."""
        return {
            "reviewed_next": self.mark_and_go_on,
            "previous": lambda: self.step(-1),
            "skip": lambda: self.step(1),
        }

    def mark_and_go_on(self) -> None:
        """Mark the image shown, if any, as reviewed, and show the next one that is not."""
        begin(self, TOPIC)
        place = self.place
        if place is not None:
            self._context.session.editor.set_reviewed(place[1])
            self.pace.note_review()
        elif not self._queue:
            return
        following = neighbour(self._readable(), place, 1, only_unreviewed=True)
        if following is None:
            self._tell_end()
            return
        self.show(following.place)

    def step(self, by: int) -> None:
        """Show the image after (1) or before (-1) this one without marking any."""
        following = neighbour(self._readable(), self.place, by)
        if following is None:
            self.hinted.emit(f"This is the {'last' if by > 0 else 'first'} image{self._limit()}.")
            return
        self.show(following.place)

    def show(self, place: Place) -> None:
        """Show an image of the queue; if it cannot be read, the present one stays."""
        name, index = place
        tool = self._context.cells.layer
        is_in_hand = tool is not None and self._context.viewer.layers.selection.active == tool
        if self.place != place:
            self._context.image_choice.show_sample(name, index)
        if self.place is None or self.place[0] != name:
            self._unreadable.add(name)
            return
        if self.place != place:
            self._context.cells.camera.turn_to(index)
        self._keep_tool(tool if is_in_hand else None)
        self._context.session.select([])
        self.pace.start()

    # --- inside -----------------------------------------------------------------------------

    def _readable(self) -> list[QueueEntry]:
        return [entry for entry in self._queue if entry.sample not in self._unreadable]

    def _tell_end(self) -> None:
        """Tell that no other image is left to review, here or at all."""
        entries = list(chain.from_iterable(self._entries.values()))
        open_ones = [entry for entry in entries if entry.state != ReviewState.REVIEWED]
        if not open_ones:
            text = "All images are reviewed; a detector can learn from them."
            tell(self, text, TOPIC, to_panel(self, Remedy.TRAIN_DETECTOR))
            return
        sentences = ["No image of the list is left to review."]
        unreadable = sum(entry.sample in self._unreadable for entry in open_ones)
        if unreadable:
            sentences.append(f"{counted(unreadable, 'image')} cannot be read.")
        if hidden := len(open_ones) - unreadable:
            images = counted(hidden, "more image is", "more images are")
            sentences.append(f"{images} not reviewed: let the list show all images.")
        tell(self, " ".join(sentences), TOPIC)

    def _limit(self) -> str:
        return " that can be read" if self._unreadable else ""

    def _keep_tool(self, layer: Any) -> None:
        """Keep the tool for boxes active; the layer of the new image took its place."""
        layers = self._context.viewer.layers
        if layer is not None and layer in layers:
            layers.selection.active = layer
        else:
            self._context.cells.start_selecting()

    def _is_of_cohort(self, sample: Sample) -> bool:
        cohort = self._context.session.cohort
        return cohort is not None and any(sample is member for member in cohort.samples)

    def _on_sample(self) -> None:
        sample = self._context.session.sample
        if sample is not None:
            self._unreadable.discard(sample.name)
        if sample is not None and sample not in self.samples:
            self.refresh()
        self._tell_place()

    def _on_edit(self) -> None:
        sample = self._context.session.sample
        if sample is not None:
            self.refresh_sample(sample.name)

    def _on_record(self, key: SessionKey) -> None:
        session = self._context.session
        is_open = isinstance(key, SampleKey) and key == session.key_of(key.name)
        if is_open and key != session.key:
            self.refresh_sample(key.name)

    def _tell_place(self) -> None:
        self.place_changed.emit()
