"""Step 1: which images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.cells.project import AnnotationFile
from napari_attmil.images.cohort import Cohort, Sample
from napari_attmil.session import sample_key
from napari_attmil.settings import UserError
from napari_attmil.widgets import tasks
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.image_layers import (
    LayerImages,
    describe_images,
    sample_layer_data,
    sample_of_layer,
)
from napari_attmil.widgets.progress_row import ProgressRow
from napari_attmil.widgets.style import hint_label, narrow_combo, plain, set_primary
from napari_attmil.widgets.workers import tell_error

SAMPLE_NAME = "napari-attmil sample"
"""Key of an image layer's metadata: which sample of the cohort it shows."""
NO_IMAGES = "Open an image in napari (drag it into the window), or open a cohort."


class ImagesStep(QWidget):
    """Chooses an image layer of the viewer, or a sample of a cohort.

    Signals
    -------
    state_changed(str, bool)
        One line that says what is chosen, and whether anything is.
    """

    state_changed = Signal(str, bool)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._layers: list[Any] = []
        self._chosen: Any = None
        self._create()
        self._lay_out()
        self._connect()
        self._synchronise()

    def _create(self) -> None:
        self._layer_combo = narrow_combo("The image layer whose cells are looked at.")
        self._open = QPushButton("Open cohort…")
        self._open.setToolTip(
            "Open all samples of a study: a folder (class / patient / sample / images) or a "
            "cohort.csv file."
        )
        menu = QMenu(self._open)
        menu.setToolTipsVisible(True)
        self._open_folder = menu.addAction("Folder of samples…")
        self._open_folder.setToolTip("A folder with one sub-folder a class, patient and sample.")
        self._open_csv = menu.addAction("cohort.csv file…")
        self._open_csv.setToolTip("A table with the columns image, sample, patient and label.")
        self._simulate = menu.addAction("Simulated cohort, to try it out")
        self._simulate.setToolTip("Draw 15 small samples of five classes; takes a minute.")
        self._open.setMenu(menu)
        self._sample_combo = narrow_combo("The sample of the cohort that is shown.")
        self._sample_label = QLabel("Sample")
        self._sample_label.setBuddy(self._sample_combo)
        self._cohort_label = hint_label()
        self._info = hint_label()
        self._progress = ProgressRow("Cancel", "Stop opening the cohort.")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image layer", self._layer_combo)
        form.addRow(self._sample_label, self._sample_combo)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self._info)
        layout.addWidget(self._cohort_label)
        layout.addWidget(self._open)
        layout.addWidget(self._progress)

    def _connect(self) -> None:
        layers, session = self._context.viewer.layers, self._context.session
        layers.events.inserted.connect(self._on_layers_changed)
        layers.events.removed.connect(self._on_layers_changed)
        layers.events.reordered.connect(self._on_layers_changed)
        self._layer_combo.activated.connect(self._on_layer_chosen)
        self._sample_combo.activated.connect(self._on_sample_chosen)
        self._open_folder.triggered.connect(self._ask_for_folder)
        self._open_csv.triggered.connect(self._ask_for_csv)
        self._simulate.triggered.connect(self.open_simulated_cohort)
        self._progress.stop_clicked.connect(self._context.runner.stop)
        self._context.runner.busy_changed.connect(self._open.setDisabled)
        session.cohort_changed.connect(self._show_cohort)
        session.not_kept.connect(self._warn)

    def _synchronise(self) -> None:
        self._show_cohort()
        self._on_layers_changed()

    def tell_state(self) -> None:
        """Emit `state_changed`."""
        self._describe()

    def close_step(self) -> None:
        """Stop listening."""
        layers, session = self._context.viewer.layers, self._context.session
        layers.events.inserted.disconnect(self._on_layers_changed)
        layers.events.removed.disconnect(self._on_layers_changed)
        layers.events.reordered.disconnect(self._on_layers_changed)
        for layer in self._layers:
            layer.events.name.disconnect(self._name_layers)
        session.cohort_changed.disconnect(self._show_cohort)
        session.not_kept.disconnect(self._warn)

    # --- layers of the viewer ---------------------------------------------------------------

    def chosen_layer(self) -> Any:
        """Return the image layer in use, or None."""
        return self._chosen

    def choose_layer(self, layer: Any) -> None:
        """Use the images of a layer."""
        try:
            images = LayerImages(layer)
        except UserError as error:
            tell_error(error)
            self._name_layers()
            return
        self._chosen = layer
        session, key = self._context.session, self._key_of(layer)
        sample = self._sample_of(layer) or sample_of_layer(layer)
        if key.startswith("file:") and not session.is_kept(key):
            session.keep(sample, AnnotationFile.of_user(), key)
        session.show(sample, key)
        self._context.cells.attach(layer)
        self._context.set_images(images)
        self._name_layers()

    def _sample_of(self, layer: Any) -> Sample | None:
        """Return the cohort's sample that a layer shows, or None."""
        cohort = self._context.session.cohort
        name = layer.metadata.get(SAMPLE_NAME)
        return next((s for s in cohort.samples if s.name == name), None) if cohort else None

    def _key_of(self, layer: Any) -> str:
        """Return a key under which the boxes of a file's layer are found when it is reopened."""
        sample = self._sample_of(layer)
        if sample is not None:
            return sample_key(sample.name)
        path = getattr(layer.source, "path", None)
        twins = [
            other
            for other in self._layers
            if path and getattr(other.source, "path", None) == path and other != layer
        ]
        return f"file:{path}" if path and not twins else f"layer:{layer.unique_id}"

    def _on_layers_changed(self) -> None:
        for layer in self._layers:
            layer.events.name.disconnect(self._name_layers)
        self._layers = [layer for layer in self._context.viewer.layers if isinstance(layer, Image)]
        for layer in self._layers:
            layer.events.name.connect(self._name_layers)
        if self._chosen is not None and self._chosen not in self._layers:
            self._lose_images()
        if self._chosen is None and self._layers:
            self._take_first()
        self._name_layers()

    def _lose_images(self) -> None:
        """Let go of a removed layer; its boxes stay in the session and on the screen."""
        self._chosen = None
        self._context.set_images(None)

    def _take_first(self) -> None:
        """Use the only image that was opened, unless boxes of a removed one are still shown."""
        session = self._context.session
        if not len(session.boxes):
            usable = [layer for layer in self._layers if layer.ndim in (2, 3)]
            if usable:
                self.choose_layer(usable[-1])
        else:
            for layer in self._layers:
                if self._key_of(layer) == session.key:
                    self.choose_layer(layer)

    def _name_layers(self) -> None:
        self._layer_combo.clear()
        self._layer_combo.addItems([layer.name for layer in self._layers])
        if not self._layers:
            self._layer_combo.addItem("no image is open")
        elif self._chosen is None:
            self._layer_combo.insertItem(0, "choose…")
            self._layer_combo.setCurrentIndex(0)
        else:
            self._layer_combo.setCurrentIndex(self._layers.index(self._chosen))
        self._layer_combo.setEnabled(bool(self._layers))
        self._describe()

    def _on_layer_chosen(self, index: int) -> None:
        offset = 1 if self._chosen is None and self._layers else 0
        if self._layers and index >= offset:
            self.choose_layer(self._layers[index - offset])

    # --- cohort -----------------------------------------------------------------------------

    def open_cohort(self, path: Path) -> None:
        """Open a cohort off the main thread and show its first sample."""
        self._progress.begin("Looking for images")
        self._context.runner.start(
            tasks.open_cohort,
            path,
            on_done=self._use_cohort,
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    def open_simulated_cohort(self) -> None:
        """Draw a small cohort off the main thread and open it."""
        self._progress.begin("Drawing images")
        self._context.runner.start(
            tasks.simulate_cohort,
            tasks.own_folder("simulated cohort"),
            on_done=self._use_cohort,
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    def show_sample(self, name: str) -> None:
        """Show a sample of the cohort as an image layer, in place of the former one."""
        cohort = self._context.session.cohort
        sample = next((s for s in cohort.samples if s.name == name), None) if cohort else None
        if sample is None:
            return
        try:
            data, settings = sample_layer_data(sample)
        except UserError as error:
            tell_error(error)
            self._show_cohort()
            return
        former = [layer for layer in self._layers if SAMPLE_NAME in layer.metadata]
        layer = Image(data, metadata={SAMPLE_NAME: sample.name}, **settings)
        self._context.viewer.add_layer(layer)
        self.choose_layer(layer)
        for old in former:
            self._context.viewer.layers.remove(old)
        self._context.viewer.layers.move(self._context.viewer.layers.index(layer), 0)
        self._context.viewer.dims.set_point(0, 0)
        self._context.viewer.reset_view()
        self._show_cohort()

    def _use_cohort(self, cohort: Cohort | None) -> None:
        if cohort is None:
            return
        self._context.session.open_cohort(cohort, AnnotationFile.beside(cohort.folder))
        for note in cohort.notes:
            show_info(note)
        self.show_sample(cohort.samples[0].name)

    def _on_sample_chosen(self, index: int) -> None:
        self.show_sample(self._sample_combo.itemData(index))

    def _show_cohort(self) -> None:
        session = self._context.session
        cohort = session.cohort
        for widget in (self._sample_combo, self._sample_label, self._cohort_label):
            widget.setVisible(cohort is not None)
        if cohort is None:
            return
        self._sample_combo.clear()
        for sample in cohort.samples:
            label = sample.label or "no class"
            self._sample_combo.addItem(f"{sample.name}   ({label})", sample.name)
        names = [sample.name for sample in cohort.samples]
        shown = session.sample.name if session.sample is not None else ""
        self._sample_combo.setCurrentIndex(names.index(shown) if shown in names else -1)
        self._cohort_label.setText(
            f"Cohort: {plain(len(cohort), 'sample')}, {plain(len(cohort.patients), 'patient')}, "
            f"{plain(len(cohort.classes), 'class', 'classes')}"
        )
        self._cohort_label.setToolTip("\n".join((str(cohort.folder), *cohort.notes)))

    def _ask_for_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a cohort: folder of samples")
        if path:
            self.open_cohort(Path(path))

    def _ask_for_csv(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a cohort: table of images", "", "Cohort table (*.csv)"
        )
        if path:
            self.open_cohort(Path(path))

    def _warn(self, reason: str) -> None:
        show_warning(reason)

    def _describe(self) -> None:
        set_primary(self._open, self._chosen is None)
        images, sample = self._context.images, self._context.session.sample
        if self._chosen is None or not isinstance(images, LayerImages) or sample is None:
            gone = bool(len(self._context.session.boxes))
            self._info.setText(
                "The image layer was removed; its cells are kept. Choose an image."
                if gone
                else NO_IMAGES
            )
            self.state_changed.emit("no images yet", False)
            return
        self._info.setText(describe_images(images, sample.pixel_size_um))
        self.state_changed.emit(self._chosen.name, True)
