"""Step 1: which images."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMenu

from napari_attmil import workflows
from napari_attmil.core import counted
from napari_attmil.images import Cohort
from napari_attmil.widgets import tasks
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.parts import (
    ProgressRow,
    column,
    form,
    hint_label,
    narrow_combo,
    push_button,
    set_primary,
    set_warning,
)
from napari_attmil.widgets.viewer import LayerImages, describe_images

NO_IMAGES = "Open an image in napari (drag it into the window), or open a cohort."
MORE_AXES = (
    "This is neither an image nor a stack of images. Right-click the layer in the layer list and "
    "choose Split Stack."
)


class ImagesStep(Step):
    """Chooses an image layer of the viewer, or a sample of a cohort."""

    def _create(self) -> None:
        self._choice = self._context.image_choice
        self._layer_combo = narrow_combo("The image layer whose cells are examined.")
        self._open = push_button(
            "Open cohort…",
            "Open all samples of a study: a folder (class / patient / sample / images) or a "
            "cohort.csv file.",
        )
        menu = QMenu(self._open)
        menu.setToolTipsVisible(True)
        folder = menu.addAction("Folder of samples…", self._ask_for_folder)
        folder.setToolTip("A folder with one sub-folder for each class, patient and sample.")
        table = menu.addAction("cohort.csv file…", self._ask_for_csv)
        table.setToolTip("A table with the columns image, sample, patient and label.")
        simulated = menu.addAction("Simulated cohort, to try it out", self.open_simulated_cohort)
        simulated.setToolTip("Draw 15 small samples of five classes; takes a minute.")
        self._open.setMenu(menu)
        self._sample_combo = narrow_combo("The sample of the cohort that is shown.")
        self._cohort_label = hint_label(name="cohort_label")
        self._notes = hint_label(name="notes")
        self._info = hint_label(name="info")
        self._progress = ProgressRow(self._context.runner, "Cancel", "Stop opening the cohort.")

    def _lay_out(self) -> None:
        controls = form({"Image layer": self._layer_combo, "Sample": self._sample_combo})
        self._sample_label = controls.labelForField(self._sample_combo)
        texts = (self._info, self._cohort_label, self._notes)
        column(controls, *texts, self._open, self._progress, within=self)

    def _connect(self) -> None:
        session = self._context.session
        self._layer_combo.activated.connect(self._on_layer_chosen)
        self._sample_combo.activated.connect(self._on_sample_chosen)
        self._context.runner.busy_changed.connect(self._open.setDisabled)
        self.listen(self._choice.layers_changed, self._name_layers)
        self.listen(session.cohort_changed, self._show_cohort)
        self.listen(session.sample_changed, self._show_sample_name)

    def synchronise(self) -> None:
        """Show the cohort, the layers and which of them is chosen."""
        self._show_cohort()
        self._name_layers()

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
        self._progress.start(
            "Looking for images", tasks.open_cohort, path, on_done=self._use_cohort
        )

    def open_simulated_cohort(self) -> None:
        """Draw a small cohort off the main thread and open it."""
        folder = workflows.own_folder("simulated cohort")
        self._progress.start(
            "Drawing images", tasks.simulate_cohort, folder, on_done=self._use_cohort
        )

    def _use_cohort(self, cohort: Cohort | None) -> None:
        if cohort is not None:
            self._choice.use_cohort(cohort)

    def _on_sample_chosen(self, index: int) -> None:
        self._choice.show_sample(self._sample_combo.itemData(index))

    def _show_cohort(self) -> None:
        cohort = self._context.session.cohort
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
        """Name the sample shown, whichever panel chose it."""
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
        text = describe_images(images, sample.pixel_size_um)
        if cover is not None:
            text += f". You see another image: '{cover.name}' lies over it. Hide or choose it."
        self._info.setText(text)
        self.state_changed.emit(chosen.name, True)

    def _what_is_missing(self) -> str:
        """Return why there are no images to work on, and what to do."""
        if len(self._context.session.boxes):
            return "The image layer was removed; its cells are kept. Choose an image."
        if self._choice.layers:
            return MORE_AXES
        return NO_IMAGES
