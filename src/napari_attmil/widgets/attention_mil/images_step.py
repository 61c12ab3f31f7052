"""Step 1: which images."""

from __future__ import annotations

import os

from napari_attmil.cells.annotations import FILE_NAME, AnnotationFile
from napari_attmil.core import counted
from napari_attmil.images import Cohort
from napari_attmil.widgets.attention_mil.planes_row import PlanesRow
from napari_attmil.widgets.attention_mil.step import Step
from napari_attmil.widgets.parts import (
    column,
    form,
    hint_label,
    narrow_combo,
    set_warning,
)
from napari_attmil.widgets.viewer import LayerImages, describe_images

NO_IMAGES = "Open images or a folder with the button above, or drop them on this panel."
NONE_CHOSEN = "Choose the image layer to work on."


class ImagesStep(Step):
    """Chooses an image layer of the viewer, or a sample of a cohort."""

    def _create(self) -> None:
        self._choice = self._context.image_choice
        self._layer_combo = narrow_combo("The image layer whose cells are examined.")
        self._sample_combo = narrow_combo("The sample that is shown.")
        self._planes = PlanesRow(self._context)
        self._cohort_label = hint_label(name="cohort_label")
        self._notes = hint_label(name="notes")
        self._info = hint_label(name="info")
        self._kept = hint_label(name="kept")

    def _lay_out(self) -> None:
        controls = form({"Image layer": self._layer_combo, "Sample": self._sample_combo})
        self._sample_label = controls.labelForField(self._sample_combo)
        texts = (self._info, self._cohort_label, self._kept, self._notes)
        column(controls, self._planes, *texts, within=self)

    def _connect(self) -> None:
        session = self._context.session
        self._layer_combo.activated.connect(self._on_layer_chosen)
        self._sample_combo.activated.connect(self._on_sample_chosen)
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

    def _on_sample_chosen(self, index: int) -> None:
        self._choice.show_sample(self._sample_combo.itemData(index))

    def _show_cohort(self) -> None:
        cohort = self._context.session.cohort
        for widget in (self._sample_combo, self._sample_label, self._cohort_label):
            widget.setVisible(cohort is not None)
        # Those about boxes are told by whoever has opened the study, in every panel.
        notes = [each for each in (cohort.notes if cohort else ()) if FILE_NAME not in each]
        self._notes.setVisible(bool(notes))
        if cohort is None:
            return
        self._notes.setText("\n".join(notes))
        self._sample_combo.clear()
        for sample in cohort.samples:
            label = f"   ({sample.label or 'no class'})" if cohort.classes else ""
            self._sample_combo.addItem(f"{sample.name}{label}", sample.name)
        self._show_sample_name()
        self._cohort_label.setText(_in_all(cohort))
        self._cohort_label.setToolTip(str(cohort.folder))

    def _show_sample_name(self) -> None:
        """Name the sample shown, whichever panel chose it."""
        sample = self._context.session.sample
        name = "" if sample is None else sample.name
        self._sample_combo.setCurrentIndex(self._sample_combo.findData(name))

    def _describe(self) -> None:
        chosen, cover = self._choice.chosen, self._choice.cover
        self._kept.setText(self._where_kept())
        self._kept.setVisible(bool(self._kept.text()))
        set_warning(self._info, cover is not None)
        images, sample = self._context.images, self._context.session.sample
        if chosen is None or not isinstance(images, LayerImages) or sample is None:
            self._info.setText(self._what_is_missing())
            self.state_changed.emit("no images yet", False)
            return
        text = describe_images(images, sample.pixel_size_um)
        if cover is not None:
            text += f". You see another image: '{cover.name}' lies over it. Hide or choose it."
        axes = images.axes.in_words()
        self._info.setText(f"{text}. {axes}" if axes else text)
        self.state_changed.emit(chosen.name, True)

    def _what_is_missing(self) -> str:
        """Return why there are no images to work on, and what to do."""
        if len(self._context.session.boxes):
            return "The image layer was removed; its cells are kept. Choose an image."
        if self._choice.layers:
            return NONE_CHOSEN
        return NO_IMAGES

    def _where_kept(self) -> str:
        """Return where the boxes of the shown images are kept."""
        session = self._context.session
        record = session.records.get(session.key)
        if record is None:
            return ""
        if record.file is None:
            return (
                "This layer has no file, and its pixels cannot be read: its boxes are gone when "
                "napari closes, unless you save the layer of cells."
            )
        path = record.file.path
        if not any(os.path.exists(frame.path) for frame in record.sample.frames):
            return f"This layer has no file: its boxes are found again by its pixels, in {path}"
        if path == AnnotationFile.of_user().path:
            return f"The folder of the images cannot be written, so boxes are kept in {path}"
        return f"Boxes are kept in {path}"


def _in_all(cohort: Cohort) -> str:
    """Return what is open, with samples, patients and classes where there are some."""
    images, samples = sum(map(len, cohort.samples)), len(cohort)
    parts = [f"In the study: {counted(images, 'image')}"]
    if samples < images or cohort.classes:
        parts += [counted(samples, "sample"), counted(len(cohort.patients), "patient")]
    elif images > 1:
        parts.append("each a sample of its own")
    if cohort.classes:
        parts.append(counted(len(cohort.classes), "class", "classes"))
    return ", ".join(parts)
