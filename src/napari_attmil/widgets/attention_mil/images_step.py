"""Step 1: which images."""

from __future__ import annotations

from pathlib import Path

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

from napari_attmil import workflows
from napari_attmil.core import counted
from napari_attmil.images import Cohort
from napari_attmil.widgets import tasks
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import (
    Listening,
    ProgressRow,
    hint_label,
    narrow_combo,
    set_primary,
    set_warning,
)
from napari_attmil.widgets.viewer import LayerImages, describe_images

NO_IMAGES = "Open an image in napari (drag it into the window), or open a cohort."
MORE_AXES = (
    "This is neither an image nor a stack of images. Right-click the layer in the layer list and "
    "choose Split Stack."
)


class ImagesStep(Listening, QWidget):
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
        self._choice = context.image_choice
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
        self._cohort_label = hint_label(name="cohort_label")
        self._notes = hint_label(name="notes")
        self._info = hint_label(name="info")
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
        layout.addWidget(self._notes)
        layout.addWidget(self._open)
        layout.addWidget(self._progress)

    def _connect(self) -> None:
        session = self._context.session
        self.listen(self._choice.layers_changed, self._name_layers)
        self._layer_combo.activated.connect(self._on_layer_chosen)
        self._sample_combo.activated.connect(self._on_sample_chosen)
        self._open_folder.triggered.connect(self._ask_for_folder)
        self._open_csv.triggered.connect(self._ask_for_csv)
        self._simulate.triggered.connect(self.open_simulated_cohort)
        self._progress.stop_clicked.connect(self._context.runner.stop)
        self._context.runner.busy_changed.connect(self._open.setDisabled)
        self.listen(session.cohort_changed, self._show_cohort)
        self.listen(session.sample_changed, self._show_sample_name)

    def _synchronise(self) -> None:
        self._show_cohort()
        self._name_layers()

    def tell_state(self) -> None:
        """Emit `state_changed`."""
        self._describe()

    # --- layers of the viewer ---------------------------------------------------------------

    def _name_layers(self) -> None:
        self._layer_combo.clear()
        layers, chosen = self._choice.layers, self._choice.chosen
        self._layer_combo.addItems([layer.name for layer in layers])
        if not layers:
            self._layer_combo.addItem("no image is open")
        elif chosen is None:
            self._layer_combo.insertItem(0, "choose…")
            self._layer_combo.setCurrentIndex(0)
        else:
            self._layer_combo.setCurrentIndex(layers.index(chosen))
        self._layer_combo.setEnabled(bool(layers))
        self._describe()

    def _on_layer_chosen(self, index: int) -> None:
        layers = self._choice.layers
        offset = 1 if self._choice.chosen is None and layers else 0
        if layers and index >= offset:
            self._choice.choose(layers[index - offset])
            self._choice.bring_to_light()

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
            workflows.own_folder("simulated cohort"),
            on_done=self._use_cohort,
            on_progress=self._progress.setValue,
            on_end=self._progress.hide,
        )

    def _use_cohort(self, cohort: Cohort | None) -> None:
        if cohort is not None:
            self._choice.use_cohort(cohort)

    def _on_sample_chosen(self, index: int) -> None:
        self._choice.show_sample(self._sample_combo.itemData(index))

    def _show_cohort(self) -> None:
        session = self._context.session
        cohort = session.cohort
        for widget in (self._sample_combo, self._sample_label, self._cohort_label):
            widget.setVisible(cohort is not None)
        self._notes.setVisible(cohort is not None and bool(cohort.notes))
        if cohort is None:
            return
        self._notes.setText("\n".join(cohort.notes))
        self._sample_combo.clear()
        for sample in cohort.samples:
            label = sample.label or "no class"
            self._sample_combo.addItem(f"{sample.name}   ({label})", sample.name)
        self._show_sample_name()
        self._cohort_label.setText(
            f"Cohort: {counted(len(cohort), 'sample')}, "
            f"{counted(len(cohort.patients), 'patient')}, "
            f"{counted(len(cohort.classes), 'class', 'classes')}"
        )
        self._cohort_label.setToolTip(str(cohort.folder))

    def _show_sample_name(self) -> None:
        """Name the shown sample, whoever has chosen it."""
        sample = self._context.session.sample
        name = "" if sample is None else sample.name
        self._sample_combo.setCurrentIndex(self._sample_combo.findData(name))

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

    def _describe(self) -> None:
        chosen, cover = self._choice.chosen, self._choice.cover
        set_primary(self._open, chosen is None)
        set_warning(self._info, cover is not None)
        images, sample = self._context.images, self._context.session.sample
        if chosen is None or not isinstance(images, LayerImages) or sample is None:
            self._info.setText(self._what_is_missing())
            self.state_changed.emit("no images yet", False)
            return
        told = describe_images(images, sample.pixel_size_um)
        if cover is not None:
            told += f". You see another image: '{cover.name}' lies over it. Hide or choose that."
        self._info.setText(told)
        self.state_changed.emit(chosen.name, True)

    def _what_is_missing(self) -> str:
        """Return why there are no images to work on, and what to do."""
        if len(self._context.session.boxes):
            return "The image layer was removed; its cells are kept. Choose an image."
        if self._choice.layers:
            return MORE_AXES
        return NO_IMAGES
