"""All that was done to a session's samples, in one order, and the way back and forth in it."""

from __future__ import annotations

import contextlib
import platform
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from psygnal import Signal

from napari_attmil.cells.annotations import Edit, author_name
from napari_attmil.core import UserError, counted
from napari_attmil.session.history_steps import Move, Part, Step, Told, UndoName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from napari_attmil.cells.annotations import AnnotationFile, PastEdit
    from napari_attmil.images import Sample
    from napari_attmil.session.keys import SessionKey
    from napari_attmil.session.sample_records import SampleRecord, SampleRecords

_FORMER_TITLE = re.compile(r"Mark image \d+ as (not )?reviewed")
"""What earlier versions called a review; the place is said beside the title now."""
BACK: Final = "taken back"
AGAIN: Final = "made again"


class History:
    """All steps of the samples that a session has, the first one first.

    Parameters
    ----------
    records
        The session's.

    Signals
    -------
    changed
        There is another step, or one was taken back or made again.
    moved(move)
        Undo or redo has changed something; with a `Move`.
    """

    changed = Signal()
    moved = Signal(object)

    def __init__(self, records: SampleRecords) -> None:
        self._records = records
        self._steps: list[Step] = []
        self._by_name: dict[str, Step] = {}
        self._redo: list[list[tuple[Step, Step | None]]] = []
        """Steps that were taken back together, the next one to be made again last. With each the
        later step that took it back for it, where it had been overtaken."""
        self._unread: list[tuple[AnnotationFile, dict[SessionKey, Sample]]] = []
        records.editing.connect(self.read)
        records.edited.connect(self._note)
        records.attached.connect(self._attach)
        records.forgotten.connect(self._forget)

    # --- what there is ----------------------------------------------------------------------

    @property
    def steps(self) -> Sequence[Step]:
        """All steps, those that were taken back among them."""
        self.read()
        return self._steps

    @property
    def undo_title(self) -> str:
        """The step that `undo` would take back; empty if there is none."""
        step = self._last()
        return "" if step is None else step.title

    @property
    def redo_title(self) -> str:
        """The step that `redo` would make again; empty if there is none."""
        self.read()
        if not self._redo:
            return ""
        group = self._redo[-1]
        return group[0][0].title if len(group) == 1 else counted(len(group), "change")

    def place(self, step: Step) -> str:
        """Return in words where a step was made: "image 7 of P07", "3 samples"."""
        if len(step.parts) != 1:
            return counted(len(step.parts), "sample")
        part = step.parts[0]
        record = self._records.get(part.key)
        if record is None:
            return ""
        sample, images = record.sample, part.images
        name = sample.name or "the image"
        if len(sample) == 1 or not images:
            return name
        where = f"image {images[0] + 1}" if len(images) == 1 else f"{len(images)} images"
        return f"{where} of {name}" if self._records.has_several_samples else where

    # --- taking note ------------------------------------------------------------------------

    def _attach(self, file: AnnotationFile, samples: Mapping[SessionKey, Sample]) -> None:
        """Note that the earlier edits of samples are in a file; they are read when needed."""
        self._unread.append((file, dict(samples)))

    def _forget(self, keys: Collection[SessionKey]) -> None:
        """Forget what was done to samples."""
        gone = set(keys)
        for step in self._steps:
            step.parts = [part for part in step.parts if part.key not in gone]
        self._steps = [step for step in self._steps if step.parts]
        self._by_name = {step.name: step for step in self._steps}
        groups = ([pair for pair in group if pair[0].parts] for group in self._redo)
        self._redo = [group for group in groups if group]
        self._unread = [
            (file, {key: sample for key, sample in samples.items() if key not in gone})
            for file, samples in self._unread
        ]
        self.changed.emit()

    def _note(self, key: SessionKey, edit: Edit) -> None:
        """Note an edit that was just made."""
        part = Part(key, edit.uid, tuple(sorted(edit.images)), settled=edit.settled, edit=edit)
        self._add(
            part, edit.step or edit.uid, edit.title, author_name(), _now(), True, edit.automatic
        )
        if not edit.automatic:
            self._redo.clear()
        self.changed.emit()

    def read(self) -> None:
        """Read the edits of earlier sessions, once; a failure is reported."""
        unread, self._unread = self._unread, []
        for file, samples in filter(lambda pair: pair[1], unread):
            self._records.attempt(partial(self._read, file, samples))

    def _read(self, file: AnnotationFile, samples: Mapping[SessionKey, Sample]) -> None:
        keys = {sample.name: key for key, sample in samples.items()}
        own, self._steps = self._steps, []
        me = author_name(), platform.node()  # asked once: a journal has 100,000 edits
        try:
            for past in file.history(list(samples.values())):
                self._add_past(past, keys[past.sample], me)
        finally:
            # Where several files are open, their steps stand in the order of time.
            both = (*_times(self._steps), *_times(own))
            self._steps = [step for _, step in sorted(both, key=lambda timed: timed[0])]
        if not self._redo:
            self._find_redo()

    def _add_past(self, past: PastEdit, key: SessionKey, me: tuple[str, str]) -> None:
        is_mine = past.author == me[0] and past.machine in ("", me[1])
        part = Part(key, past.uid, past.images, past.is_done, past.settled)
        title = _FORMER_TITLE.sub(lambda m: "Not reviewed" if m[1] else "Reviewed", past.title)
        stamp = past.author, past.made_at, is_mine, past.automatic
        step = self._add(part, past.step, title, *stamp)
        step.undone = UndoName.of_text(past.undone) or step.undone

    def _add(
        self,
        part: Part,
        name: str,
        title: str,
        author: str,
        made_at: str,
        is_mine: bool,
        automatic: bool,
    ) -> Step:
        """Add a part to the step of its name, which moves to the end with it."""
        step = self._by_name.get(name)
        if step is None:
            step = Step(name, title, author, made_at, is_mine and not automatic, automatic)
            self._by_name[name] = step
        step.parts.append(part)
        if not self._steps or self._steps[-1] is not step:
            if len(step.parts) > 1 and step in self._steps:
                self._steps.remove(step)
            self._steps.append(step)
        return step

    def _find_redo(self) -> None:
        """Find what this person took back before a restart, and has changed nothing since."""
        latest, groups = self._latest, dict[UndoName, list[tuple[Step, Step | None]]]()
        for step in self._steps:
            if step.undone is not None and step.undone.latest == latest:
                later = self._by_name.get(step.undone.settling(step.name))
                groups.setdefault(step.undone, []).append((step, later))
        named = [groups[name] for name in sorted(groups, key=lambda name: name.number)]
        self._redo = [*self._undone_by_earlier_versions(), *named]

    def _undone_by_earlier_versions(self) -> list[list[tuple[Step, Step | None]]]:
        """Return the steps at the end that were taken back without a name, the latest first."""
        since = list(takewhile(lambda step: not step.can_be_undone, reversed(self._steps)))
        nameless = [step for step in since if step.is_mine and step.undone is None]
        return [[(step, None)] for step in nameless if step.may_be_made_again]

    @property
    def _latest(self) -> str:
        """The name of this person's latest edit, or of this person if there is none."""
        mine = (step for step in reversed(self._steps) if step.is_mine and not step.is_settling)
        latest = next((step.parts[-1].uid for step in mine), "")
        return latest or f"{author_name()}@{platform.node()}"

    # --- back and forth ---------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last step of this person, in whichever sample."""
        step = self._last()
        if step is not None:
            self._take_back([step])

    def undo_to(self, step: Step) -> None:
        """Take back all later steps, whoever made them; one redo makes them again."""
        self.read()
        later = self._steps[self._steps.index(step) + 1 :]
        self._take_back([each for each in later if each.is_done])

    def take_back(self, step: Step) -> None:
        """Take back one step and leave the later ones, as far as these have not overtaken it."""
        if step.is_done:
            self._take_back([step])

    def redo(self) -> None:
        """Make again what was taken back last."""
        self.read()
        if not self._redo:
            return
        group, told = self._redo.pop(), Told(AGAIN)
        with self._at_once(step for step, _ in group):
            for step, later in group:
                self._make_again(step, later, told)
                step.undone = None
        self._tell([step for step, _ in group], told)

    def _last(self) -> Step | None:
        self.read()
        return next((step for step in reversed(self._steps) if step.can_be_undone), None)

    def _take_back(self, steps: Sequence[Step]) -> None:
        told, undo = Told(BACK), self._new_undo()
        group: list[tuple[Step, Step | None]] = []
        with self._at_once(steps):
            for step in reversed(steps):
                group.insert(0, (step, self._step_back(step, undo, told)))
                step.undone = undo
        if told.keys:
            # What was taken back before, though not all of it, is made again as it is now.
            former = ([pair for pair in each if pair[0] not in steps] for each in self._redo)
            self._redo = [*filter(None, former), group]
        self._tell(steps, told)

    def _new_undo(self) -> UndoName:
        numbers = (step.undone.number for group in self._redo for step, _ in group if step.undone)
        return UndoName(self._latest, 1 + max(numbers, default=0))

    def _step_back(self, step: Step, undo: UndoName | None, told: Told) -> Step | None:
        """Take a step back; return the step that does so where later ones have overtaken it.

        It can be made again by the name of the undo, if that has one.
        """
        name, title = str(undo or ""), f"{step.title}, taken back"
        settling_name = (undo or UndoName("", 0)).settling(step.name)
        settling = Step(settling_name, title, author_name(), _now(), True, False)
        for part in reversed(step.parts):
            record = self._records.get(part.key)
            if record is None:
                continue
            if not part.is_done:
                self._records.attempt(partial(record.settle, part.uid, part.settled, name))
                continue
            edit = self._edit_of(part, told)
            if edit is None:
                continue
            back = edit.inverse
            doubles = self._is_overtaken(step, part) and back.doubling(record.state)
            if back.fits(record.state) and not doubles:
                part.is_done = False
                self._records.attempt(partial(record.undo, edit, name))
            else:
                self._records.attempt(partial(record.settle, part.uid, True, name))
                self._settle(record, part, edit, settling)
                told.overtaken = True
            told.keys.append(part.key)
        if not settling.parts:
            return None
        self._steps.append(settling)
        return settling

    def _is_overtaken(self, step: Step, part: Part) -> bool:
        """Return whether a later step that is in force changed one of a part's images."""
        for later in reversed(self._steps):
            if later is step:
                return False
            for other in later.parts:
                if other.is_done and other.key == part.key and {*other.images} & {*part.images}:
                    return True
        return False

    def _settle(self, record: SampleRecord, part: Part, edit: Edit, settling: Step) -> None:
        """Take back, with a later edit, what others have not overtaken of an edit."""
        part.settled = True
        rest = edit.inverse.where_it_fits(record.state)
        later = Edit.between(settling.title, record.state, rest.applied_to(record.state))
        if later.changes_anything:
            later = replace(later, step=settling.name, settled=True)
            self._records.attempt(partial(record.make, later))
            images = tuple(sorted(later.images))
            settling.parts.append(Part(part.key, later.uid, images, settled=True, edit=later))

    def _make_again(self, step: Step, later: Step | None, told: Told) -> None:
        if later is not None:
            self._step_back(later, None, told)
        for part in step.parts:
            record = self._records.get(part.key)
            if record is None:
                continue
            if part.settled and part.is_done:
                part.settled = False
                self._records.attempt(partial(record.settle, part.uid, False))
            edit = None if part.is_done else self._edit_of(part, told)
            if edit is not None and edit.fits(record.state):
                part.is_done = True
                self._records.attempt(partial(record.redo, edit))
            elif edit is not None:
                self._records.attempt(partial(record.settle, part.uid, part.settled))
                told.overtaken = True
            told.keys.append(part.key)

    def _edit_of(self, part: Part, told: Told) -> Edit | None:
        """Return all that a part changed; None, and the reason is told, if it cannot be read."""
        record = self._records.get(part.key)
        if part.edit is None and record is not None and record.file is not None:
            try:
                part.edit = record.file.past_edit(record.sample, part.uid)
                part.images = tuple(sorted(part.edit.images))
            except UserError as error:
                told.failed, part.settled = error, True  # The next undo goes on before it.
        return part.edit

    @contextlib.contextmanager
    def _at_once(self, steps: Iterable[Step]) -> Iterator[None]:
        """Write what is done to many samples in one transaction a file: each costs a flush."""
        records = [self._records.get(part.key) for step in steps for part in step.parts]
        files = {record.file for record in records if record is not None and record.file}
        blocks = contextlib.ExitStack()
        for file in files:
            blocks.enter_context(file.at_once())
        try:
            yield
        finally:
            self._records.attempt(blocks.close)

    def _tell(self, steps: Sequence[Step], told: Told) -> None:
        """Let everybody know what was done, and where."""
        if told.failed is not None:
            self._records.on_failure(str(told.failed))
        for key in dict.fromkeys(told.keys):
            self._records.changed.emit(key)
        self.changed.emit()
        if told.keys:
            self.moved.emit(self._move(steps, told))

    def _move(self, steps: Sequence[Step], told: Told) -> Move:
        # Of several steps taken back, the last one to go was the first to be made.
        last, shown = steps[0 if told.verb == BACK else -1], self._records.shown
        if len(steps) > 1:
            what = counted(len(steps), "change")
        else:
            what = ", ".join(filter(None, (last.title, self.place(last))))
        parts = [part for part in last.parts if part.key in told.keys] or last.parts
        part = next((part for part in parts if part.key == shown), parts[0])
        rest = " What was changed since stays." if told.overtaken else ""
        image = part.images[0] if part.images else None
        end = "." if rest else ""
        return Move(part.key, image, f"{what}: {told.verb}{end}{rest}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _times(steps: Iterable[Step]) -> list[tuple[str, Step]]:
    """Return steps with their times, which never fall: a file's order outweighs its clock."""
    latest, timed = "", []
    for step in steps:
        latest = max(latest, step.made_at)
        timed.append((latest, step))
    return timed
