"""The preview of an import: what comes in, image by image, what is left out, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)
from superqt import QFlowLayout

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.exchange import (
    AnnotationSet,
    ImportOutcome,
    ImportPlan,
    LeftOut,
    MergeCounts,
    PlacedImage,
    class_counts,
    likely_cells,
)
from napari_attmil.core import counted
from napari_attmil.images import Sample
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import (
    MessageBar,
    MessageBoard,
    TaskRunner,
    column,
    hint_label,
    primary_button,
    stop_listening_within,
    wrapping_label,
)

COLUMNS = {
    "Image": "The image of the study.",
    "In the file": "What the file calls it.",
    "New": "Boxes that come in.",
    "There already": "Boxes that the image has already, or that a person has deleted.",
    "Replace detected": "The detector's boxes that a person's boxes from the file replace.",
    "Reviewed": "Whether the image counts as reviewed after the import.",
}
MOST_CLASSES = 8
MOST_NAMED = 200


class ImportDialog(QDialog):
    """Shows what an import would do; nothing is changed before it is accepted.

    Parameters
    ----------
    found
        What was read from the files.
    samples
        The samples that it may be for.
    annotations
        Their boxes, by the samples' names.
    """

    def __init__(
        self,
        found: AnnotationSet,
        samples: Sequence[Sample],
        annotations: Mapping[str, Annotations],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.plan: ImportPlan | None = None
        self._found, self._samples, self._annotations = found, samples, annotations
        self.message_board = MessageBoard(self)
        self._runner = TaskRunner(self)
        self._classes = self._class_ticks()
        self._summary = wrapping_label(name="import_summary")
        self._notes = hint_label(name="import_notes")
        self._images = _tree(COLUMNS, "The images of the study that the files have boxes for")
        self._left_title = QLabel("<b>Left out</b>")
        self._left = _tree(
            {"What and why": "Open a reason to see what it is about.", "Count": "How many."},
            "What is left out, by reason",
        )
        self._left.setRootIsDecorated(True)
        self._import = primary_button("Import", "Take these boxes in; undo takes all of them back.")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._lay_out()
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: stop_listening_within(self))
        self._look()

    def _class_ticks(self) -> dict[str, QCheckBox]:
        """Return a tick for each class of the file, if there are several."""
        counts, likely = class_counts(self._found.images), likely_cells(self._found.images)
        ticks = {}
        for name, count in counts.most_common(MOST_CLASSES) if len(counts) > 1 else ():
            ticks[name] = QCheckBox(f"{name or 'no class'} ({count})")
            ticks[name].setChecked(name in likely)
            ticks[name].setToolTip("Whether boxes of this class are red cells.")
            ticks[name].toggled.connect(self._look)
        return ticks

    def _lay_out(self) -> None:
        self.setWindowTitle("Import boxes")
        self._buttons.addButton(self._import, QDialogButtonBox.ButtonRole.AcceptRole)
        classes = QWidget()
        flow = QFlowLayout(classes)
        flow.setContentsMargins(0, 0, 0, 0)
        for part in (QLabel("Red cells are:"), *self._classes.values()):
            flow.addWidget(part)
        classes.setVisible(bool(self._classes))
        left = (self._left_title, (self._left, 1))
        told = (MessageBar(self.message_board), self._summary, classes, self._notes)
        column(*told, (self._images, 2), *left, self._buttons, within=self)
        self.resize(760, 560)

    def _look(self) -> None:
        """Find out what would come in."""
        self._show(None)
        self.message_board.clear_all()
        chosen = [name for name, tick in self._classes.items() if tick.isChecked()]
        if self._classes and not chosen:
            self._summary.setText("Tick the classes that are red cells.")
            return
        self._summary.setText("Looking for the images…")
        # What an earlier look still finds is of other classes.
        stop_listening_within(self._runner)
        self._runner = TaskRunner(self)
        arguments = (self._samples, self._found, chosen)
        self._runner.start(
            tasks.plan_boxes_import, *arguments, on_done=self._show, on_end=self._summary.clear
        )

    def _show(self, plan: ImportPlan | None) -> None:
        self.plan = plan
        self._images.clear()
        self._left.clear()
        self._import.setEnabled(plan is not None)
        if plan is None:
            self._notes.hide()
            return
        _, outcome = plan.merged_into(self._annotations)
        self._import.setEnabled(not outcome.is_nothing)
        self._summary.setText(_summary(outcome))
        self._notes.setText(" ".join(outcome.notes))
        self._notes.setVisible(bool(outcome.notes))
        self._images.addTopLevelItems([self._image_row(*merged) for merged in outcome.merged])
        self._left.addTopLevelItems(_reasons(outcome.left_out))
        for part in (self._left_title, self._left):
            part.setVisible(bool(outcome.left_out))

    def _image_row(self, placed: PlacedImage, counts: MergeCounts) -> QTreeWidgetItem:
        before = self._annotations.get(placed.sample.name, Annotations())
        is_reviewed = placed.image.reviewed or placed.index in before.reviewed
        title = placed.sample.image_titles()[placed.index]
        texts = [
            f"{placed.sample.name}, {title}" if len(placed.sample) > 1 else placed.sample.name,
            placed.image.name,
            str(counts.added),
            str(counts.already_there),
            str(counts.replaced),
            "yes" if is_reviewed else "no",
        ]
        item = QTreeWidgetItem(texts)
        for column_number, text in enumerate(texts[:2]):
            item.setToolTip(column_number, text)
        return item


def _summary(outcome: ImportOutcome) -> str:
    """Return in a sentence what an import would do."""
    counts = outcome.counts
    new = counted(counts.added, "new box", "new boxes")
    left = sum(each.count for each in outcome.left_out)
    rest = [f"{counts.already_there} there already"] if counts.already_there else []
    rest += [f"{left} left out"] if left else []
    beside = f"; {', '.join(rest)}" if rest else ""
    beside += f"; {outcome.removed_in_words}" if counts.removed else ""
    images = counted(outcome.images, "image")
    return f"{outcome.format_name}: {new} in {images}{beside}. Your own boxes stay as they are."


def _reasons(left_out: Sequence[LeftOut]) -> list[QTreeWidgetItem]:
    by_reason: dict[str, list[LeftOut]] = defaultdict(list)
    for each in left_out:
        by_reason[each.reason].append(each)
    items = []
    for reason, group in by_reason.items():
        text = reason[:1].upper() + reason[1:]
        item = QTreeWidgetItem([text, str(sum(each.count for each in group))])
        item.setToolTip(0, text)
        item.addChildren(
            [QTreeWidgetItem([str(each), str(each.count)]) for each in group[:MOST_NAMED]]
        )
        if len(group) > MOST_NAMED:
            item.addChild(QTreeWidgetItem([f"and {len(group) - MOST_NAMED} more", ""]))
        items.append(item)
    return items


def _tree(columns: Mapping[str, str], name: str) -> QTreeWidget:
    tree = QTreeWidget()
    tree.setHeaderLabels(list(columns))
    tree.setRootIsDecorated(False)
    tree.setUniformRowHeights(True)
    tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    tree.setAccessibleName(name)
    header = tree.header()
    header.setStretchLastSection(False)
    for place, tip in enumerate(columns.values()):
        tree.headerItem().setToolTip(place, tip)
        is_wide = place < max(1, len(columns) - 4)
        mode = QHeaderView.ResizeMode
        header.setSectionResizeMode(place, mode.Stretch if is_wide else mode.ResizeToContents)
    return tree
