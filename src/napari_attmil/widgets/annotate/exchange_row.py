"""Buttons that bring other programs' boxes in, and take boxes out to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_attmil.cells.annotations import Annotations
from napari_attmil.cells.exchange import READ, AnnotationSet, ImportPlan
from napari_attmil.core import Remedy, UserError, counted
from napari_attmil.session import SessionKey
from napari_attmil.widgets import tasks
from napari_attmil.widgets.annotate.export_dialog import ExportDialog
from napari_attmil.widgets.annotate.import_dialog import ImportDialog
from napari_attmil.widgets.annotate.reviewing import Reviewing
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    ProgressRow,
    TaskRunner,
    column,
    errors_shown,
    push_button,
    row,
    showing_folder,
    tell,
    untell,
)
from napari_attmil.widgets.viewer import show_labels_over

FILES = (
    "Boxes of other programs (*.json *.geojson *.xml *.csv *.tsv *.txt *.zip *.roi *.npy *.tif "
    "*.tiff *.png);;All files (*)"
)
IMPORTED, EXPORTED, OUTLINED = "import of boxes", "export of boxes", "outlines of cells"
OUTLINES = "Outlines"
"""Name of the layer."""


class ExchangeRow(Listening, QWidget):
    """*Import boxes…*, *Export boxes…* and *Outlines*.

    Parameters
    ----------
    context
        The panel's.
    reviewing
        Has the images that boxes can be for.
    beside
        What stands beside the outlines: all in one row is wider than the panel.
    """

    def __init__(self, context: PanelContext, reviewing: Reviewing, beside: QWidget) -> None:
        super().__init__()
        self._context, self._reviewing = context, reviewing
        self._runner = TaskRunner(self)
        self._progress = ProgressRow(self._runner, "Stop", "Import nothing.")
        self._import = push_button("Import boxes…", f"Take in boxes of other programs: {READ}.")
        menu = QMenu(self._import)
        menu.addAction("Files or a zip archive…", self._choose_files)
        menu.addAction("A folder…", self._choose_folder)
        self._import.setMenu(menu)
        self._export = push_button(
            "Export boxes…", "Write the boxes of all images for other programs.", self._start_export
        )
        self._outline = push_button(
            "Outlines",
            "Show the pixels of each cell of this image as a labels layer, by the cell's number.",
            self._start_outlines,
        )
        upper = row((self._import, 1), (self._export, 1), margin_px=0)
        lower = row((self._outline, 1), (beside, 1), margin_px=0)
        column(upper, lower, self._progress, within=self, margin_px=0, spacing_px=4)
        self.listen(context.session.sample_changed, self._synchronise)
        self.listen(context.session.cohort_changed, self._synchronise)
        self.listen(context.session.boxes_changed, self._synchronise)
        self._synchronise()

    def read(self, paths: Sequence[Path]) -> None:
        """Read files, and show what of them would come in."""
        untell(self, IMPORTED)
        self._progress.start(
            "Reading boxes",
            tasks.read_other_boxes,
            paths,
            on_done=self._show_preview,
            again=lambda: self.read(paths),
        )

    def _synchronise(self) -> None:
        has_images = bool(self._reviewing.samples)
        self._import.setEnabled(has_images)
        self._export.setEnabled(has_images)
        context = self._context
        self._outline.setEnabled(context.images is not None and len(context.session.boxes) > 0)

    def _folder(self) -> Path:
        """Return the study's folder, or that of the image shown."""
        session = self._context.session
        if session.cohort is not None and session.shows_cohort:
            return session.cohort.folder
        path = self._reviewing.samples[0].frames[0].path.absolute()
        return path.parent if path.parent.is_dir() else Path.home()

    def _choose_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Import boxes", str(self._folder()), FILES)
        if names:
            self.read([Path(name) for name in names])

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(
            self, "Import boxes from a folder", str(self._folder())
        )
        if name:
            self.read([Path(name)])

    def _keys(self) -> dict[str, SessionKey]:
        keys = {sample.name: self._reviewing.key_of(sample) for sample in self._reviewing.samples}
        return {name: key for name, key in keys.items() if key is not None}

    def _annotations(self) -> dict[str, Annotations]:
        records = self._context.session.records
        return {name: records.state(key) for name, key in self._keys().items()}

    def _show_preview(self, found: AnnotationSet) -> None:
        dialog = ImportDialog(found, self._reviewing.samples, self._annotations(), self)
        keys = self._keys()  # Another study may have samples of the same names.
        dialog.accepted.connect(lambda: self._bring_in(dialog, keys))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _bring_in(self, dialog: ImportDialog, keys: Mapping[str, SessionKey]) -> None:
        if dialog.plan is None:
            return
        with errors_shown(self, IMPORTED):
            if any(self._context.session.records.get(key) is None for key in keys.values()):
                raise UserError(
                    "Nothing was imported, as other images were opened meanwhile; open the former "
                    "images, then import again.",
                    Remedy.OPEN_IMAGES,
                )
            self._merge(dialog.plan, keys)

    def _merge(self, plan: ImportPlan, keys: Mapping[str, SessionKey]) -> None:
        outcome = self._context.session.editor.bring_in(plan, keys)
        for placed in plan.images:
            self._reviewing.refresh_sample(placed.sample.name)
        added = counted(outcome.counts.added, "box", "boxes")
        removed = f"; {outcome.removed_in_words}" if outcome.counts.removed else ""
        images = counted(outcome.images, "image")
        tell(self, f"{added} imported into {images}{removed}.", IMPORTED)

    def _start_export(self) -> None:
        annotations = self._annotations()
        with errors_shown(self, EXPORTED):
            if not any(len(each.boxes) or each.reviewed for each in annotations.values()):
                raise UserError(
                    "There are no boxes yet; draw some, detect cells, or import them.",
                    Remedy.DETECT_CELLS,
                )
            dialog = ExportDialog(self._reviewing.samples, annotations, self._folder(), self)
            dialog.accepted.connect(lambda: self._write(dialog))
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

    def _start_outlines(self) -> None:
        images, boxes = self._context.images, self._context.session.state.cells
        if images is None:
            return
        index, image = self._context.cells.camera.image_index(), self._context.image_choice.chosen
        untell(self, OUTLINED)
        self._progress.start(
            "Looking for the outlines of cells",
            tasks.outline_cells,
            *(images, index, boxes),
            on_done=lambda found: self._show_outlines(found[0], found[1], image, index),
        )

    def _show_outlines(self, labels: Any, missing: int, image: Any, index: int) -> None:
        show_labels_over(self._context.viewer, image, labels, index, OUTLINES)
        if missing:
            cells = counted(missing, "cell")
            tell(self, f"No outline fits the box of {cells}: an ellipse stands for it.", OUTLINED)

    def _write(self, dialog: ExportDialog) -> None:
        plan = dialog.plan
        if plan is None:
            return
        with errors_shown(self, EXPORTED, again=self._start_export, elsewhere=self._start_export):
            plan.write(dialog.may_replace)
            boxes = counted(plan.box_count, "box", "boxes")
            text = f"{boxes} of {counted(plan.image_count, 'image')} written to {plan.path}."
            tell(self, text, EXPORTED, showing_folder(plan.path))
