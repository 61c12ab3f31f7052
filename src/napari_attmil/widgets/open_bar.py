"""The first row of every panel: what is open, and the button that opens something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QMimeData
from qtpy.QtWidgets import QFileDialog, QMenu, QSizePolicy, QWidget

from napari_attmil import workflows
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.opening import describe_study
from napari_attmil.widgets.parts import (
    ElidedLabel,
    Listening,
    glossary_button,
    push_button,
    row,
    set_primary,
)

OPEN = "Open images or folder…"
FILES = (
    "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp *.czi *.nd2 *.lif *.zvi *.csv);;All files (*)"
)


class OpenBar(Listening, QWidget):
    """A button with the ways to open images, and what is open now.

    Parameters
    ----------
    context
        The panel's.
    glossary_word
        Where the panel's "?" opens the glossary.
    """

    def __init__(
        self, context: PanelContext, glossary_word: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._context, self._opening = context, context.opening
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._button = push_button(OPEN, "Open any images as a study; or drop them on this panel.")
        self._button.setMenu(self._menu)
        self._cancel = push_button("Cancel opening", "Stop looking for images.", self._opening.stop)
        self._study = ElidedLabel()
        self._study.setObjectName("study")
        self._study.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

        above = (self._button, (self._study, 1), self._cancel)
        row(*above, glossary_button(self, glossary_word), within=self, margin_px=6)

        self._menu.aboutToShow.connect(self._fill_menu)
        self._opening.changed.connect(self._synchronise)
        context.images_changed.connect(self._synchronise)
        self.listen(context.session.cohort_changed, self._synchronise)
        self.listen(context.session.sample_changed, self._synchronise)
        self._fill_menu()
        self._synchronise()

    def show_menu(self) -> None:
        """Offer the ways to open something, as a press of the button does."""
        self._button.showMenu()

    def ask_for_files(self) -> None:
        """Let the user choose image files and open them as a study."""
        names, _ = QFileDialog.getOpenFileNames(self, "Open images", self._start_folder(), FILES)
        self._open([Path(name) for name in names])

    def ask_for_folder(self) -> None:
        """Let the user choose a folder and open its images as a study."""
        name = QFileDialog.getExistingDirectory(
            self, "Open a folder of images", self._start_folder()
        )
        self._open([Path(name)] if name else [])

    def _open(self, paths: Sequence[Path]) -> None:
        if paths:
            self._opening.open(paths)

    def _start_folder(self) -> str:
        cohort = self._context.session.cohort
        return "" if cohort is None else str(cohort.folder)

    def _fill_menu(self) -> None:
        menu, opening = self._menu, self._opening
        menu.clear()
        files = menu.addAction("Images…", self.ask_for_files)
        files.setToolTip("One or several image files or stacks, of any size; or a cohort.csv.")
        folder = menu.addAction("Folder…", self.ask_for_folder)
        folder.setToolTip(
            "A folder of images, with any folders in it. Folders class/patient/images give the "
            "samples their classes."
        )
        for text, layers in (
            ("Selected layers as one study", opening.layers_with_files(selected=True)),
            ("All image layers as one study", opening.layers_with_files(selected=False)),
        ):
            action = menu.addAction(text, lambda layers=layers: opening.open_layers(layers))
            action.setEnabled(bool(layers))
            action.setToolTip("Images that were opened as layers of napari.")
        self._add_recent(menu)
        menu.addSeparator()
        simulated = menu.addAction("Simulated images, to try it out", opening.open_simulated)
        simulated.setToolTip("Draw 15 small samples of five classes; takes a minute.")

    def _add_recent(self, menu: QMenu) -> None:
        recent = workflows.recent_studies()
        studies = menu.addMenu("Recent studies")
        studies.setToolTipsVisible(True)
        studies.setEnabled(bool(recent))
        for study in recent:
            title = study.title if study.is_there else f"{study.title} (not there now)"
            action = studies.addAction(title, lambda paths=study.paths: self._opening.open(paths))
            action.setToolTip("\n".join(map(str, study.paths[:5])))
            action.setEnabled(study.is_there)
        gone = [study for study in recent if not study.is_there]
        if gone:
            studies.addSeparator()
            studies.addAction("Remove those not there", lambda: workflows.forget_recent(gone))

    def _synchronise(self) -> None:
        session, busy = self._context.session, self._opening.busy
        cohort = session.cohort if session.sample is None or session.shows_cohort else None
        text = self._opening.text or (describe_study(cohort) if cohort is not None else "")
        self._study.setText(text)
        self._study.setToolTip("" if cohort is None else str(cohort.folder))
        set_primary(self._button, session.cohort is None and self._context.images is None)
        self._button.setEnabled(not busy)
        self._cancel.setVisible(busy)


def dropped_paths(data: QMimeData | None) -> list[Path]:
    """Return the files and folders of this computer that are dragged."""
    urls = data.urls() if data is not None and data.hasUrls() else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
