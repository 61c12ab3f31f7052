"""Which images are worked on: an image layer of the viewer, or a sample of the open cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.core import UserError
from napari_attmil.images import Cohort, Sample
from napari_attmil.session import LayerKey, SampleKey, Session, SessionKey
from napari_attmil.widgets.parts import Listening, errors_shown, pause_timer, tell, tell_error
from napari_attmil.widgets.viewer.camera import place_of
from napari_attmil.widgets.viewer.image_layers import (
    LayerImages,
    cover_of,
    is_image,
    sample_layer_data,
)
from napari_attmil.widgets.viewer.keeping import Answer, ask_about_unsaved
from napari_attmil.widgets.viewer.layer_axes import LayerAxes, check_axes
from napari_attmil.widgets.viewer.layer_places import LayerPlaces
from napari_attmil.widgets.viewer.layers import CellsLayer

SAMPLE_NAME = "napari-attmil sample"
"""Key of an image layer's metadata: which sample of the cohort it shows."""
SAMPLE_LAYER = "napari-attmil layer of the sample"
"""Key of an image layer's metadata: that layer's own id."""
_SHOWN = ("name", "visible", "opacity", "blending")
"""Events of an image layer: how it is called, and whether it hides others."""


class ImageChoice(Listening, QObject):
    """Keeps the viewer's image layers, the session's sample and the boxes' layer together.

    Signals
    -------
    images_changed()
        Other images are chosen, or those chosen have gone.
    layers_changed()
        Image layers came, went, were renamed, shown or hidden; or another one is chosen.
    """

    images_changed = Signal()
    layers_changed = Signal()

    def __init__(
        self, viewer: Any, session: Session, cells: CellsLayer, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._cells = viewer, session, cells
        self._layers: list[Any] = []
        self._arrived: list[Any] = []
        """The same in the order in which they came: the one chosen is moved above others."""
        self._chosen: Any = None
        self._places = LayerPlaces(viewer, self._sample_made_for)
        self.at_end(self._places.stop_listening)
        self._is_refilling = False
        self._images: LayerImages | None = None
        self._planes_timer = pause_timer(self.images_changed.emit, parent=self)
        self._to_layers = Listening()
        self.at_end(self._to_layers.stop_listening)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            self.listen(event, self._on_layers_changed)
        self.listen(viewer.dims.events.current_step, self._follow_slider)
        self.listen(session.records.edited, self._on_edit)
        self._on_layers_changed()

    @property
    def images(self) -> Sequence[npt.NDArray[Any]] | None:
        """The images of the shown sample; None if their layer has gone."""
        return self._images

    @property
    def layers(self) -> Sequence[Any]:
        """The image layers of the viewer, in the order in which they came."""
        return tuple(self._arrived)

    @property
    def chosen(self) -> Any:
        """The image layer in use, or None."""
        return self._chosen

    @property
    def cover(self) -> Any:
        """The image layer that hides the one in use, or None."""
        return cover_of(self._chosen, self._viewer.layers)

    def bring_to_light(self) -> None:
        """Let the person see the layer in use: visible, and above those that hide it."""
        layers, cover = self._viewer.layers, self.cover
        if self._chosen is None:
            return
        self._chosen.visible = True
        if cover is not None:
            layers.move(layers.index(self._chosen), layers.index(cover) + 1)

    def choose(self, layer: Any) -> None:
        """Use the images of a layer; for those of the open study, the sample that has them."""
        try:
            check_axes(layer)
        except UserError as error:
            tell_error(self, error, "show")
            self.layers_changed.emit()
            return
        place = self._place_in_study(layer)
        if place is not None:
            self._show_in_study(layer, *place)
            return
        is_other, self._chosen = layer is not self._chosen, layer
        images = self._images_shown(layer)
        session, key = self._session, self._key_of(layer)
        sample = self._sample_of(layer) or self._places.sample(images, layer)
        if isinstance(key, LayerKey) and key.frames and not session.records.is_saved(key):
            self._keep(key, replace(sample, frames=key.frames), layer)
        session.show(sample, key)
        self._cells.attach(layer)
        self._set_images(images)
        assumed = images.axes.in_words()
        if is_other and assumed:
            tell(self, f"{layer.name}: {assumed}", "axes")

    def _show_in_study(self, layer: Any, sample: Sample, image_index: int) -> None:
        """Show a file's image where the study has it: its boxes are kept there, and only there."""
        if self.show_sample(sample.name, image_index):
            self.bring_to_light()
            place = f"image {image_index + 1} of {sample.name}"
            tell(self, f"{layer.name} is {place} in the open study; it is shown there.", "show")
        self.layers_changed.emit()

    def _keep(self, key: LayerKey, sample: Sample, layer: Any) -> None:
        """Keep the boxes of a layer beside its file or folder, or among the user's own."""
        with errors_shown(self, "keeping"):
            file = self._places.file(sample, layer)
            self._session.records.forget_layers_of([sample])
            self._session.records.attach({key: sample}, file)

    def use_cohort(self, cohort: Cohort, file: AnnotationFile | None = None) -> bool:
        """Work on another cohort and show its first sample.

        A person is asked before changes that are not on the disk are lost.

        Parameters
        ----------
        cohort
            The cohort; its folder is that of the file with its boxes.
        file
            That file, if it was opened before.

        Returns
        -------
        bool
            Whether it is open now.
        """
        answer, file = Answer.AGAIN, file or AnnotationFile.beside(cohort.folder)
        while answer is not Answer.STAY:
            try:
                self._session.open_cohort(cohort, file, discard=answer is Answer.LOSE)
            except UserError as error:
                answer = ask_about_unsaved(str(error))
            else:
                self.show_sample(cohort.samples[0].name)
                return True
        return False

    def show_sample(self, name: str, image_index: int = 0) -> bool:
        """Show an image of a sample of the cohort, in place of the former sample's layer.

        Returns
        -------
        bool
            Whether it is shown. If its images cannot be read, the person is told.
        """
        if self._session.key == self._session.key_of(name) and self._chosen is not None:
            self._cells.camera.turn_to(image_index)
            return True
        cohort = self._session.cohort
        sample = next((s for s in cohort.samples if s.name == name), None) if cohort else None
        if sample is None:
            return False
        try:
            data, settings = sample_layer_data(sample)
        except UserError as error:
            tell_error(self, error, "show")
            if self._session.sample is None:
                # What is on the screen is of a cohort that was open before.
                self._chosen = None
                self._set_images(None)
            self.layers_changed.emit()
            return False
        former = [layer for layer in self._layers if _is_of_sample(layer)]
        kind = (3, settings["rgb"], settings["multiscale"])
        fitting = [each for each in former if (each.ndim, each.rgb, each.multiscale) == kind]
        if fitting:
            # Far quicker than a new layer: a study's next image is shown with one key.
            self._refill(fitting[0], sample, data, settings)
        else:
            layer = Image(data, **settings)
            _mark(layer, sample)
            self._replace(former, layer)
        self._cells.camera.turn_to(image_index)
        self._viewer.reset_view()
        return True

    def _refill(self, layer: Any, sample: Sample, data: Any, settings: Mapping[str, Any]) -> None:
        """Let a sample's layer show another one."""
        layer.metadata = {**layer.metadata, **settings["metadata"]}
        _mark(layer, sample)
        self._is_refilling = True
        try:
            layer.data = data
        finally:
            self._is_refilling = False
        self._places.forget(layer)
        scale = settings.get("scale", [1, 1, 1])
        if not np.array_equal(layer.scale, scale):  # each setting is drawn, changed or not
            layer.scale = scale
        layer.units = settings.get("units", ["pixel"] * 3)
        for key in ("name", "contrast_limits"):
            if key in settings:
                setattr(layer, key, settings[key])
        self.choose(layer)

    def _replace(self, former: Sequence[Any], layer: Any) -> None:
        """Show a new layer below all others, in place of former ones."""
        self._viewer.add_layer(layer)
        self.choose(layer)
        for old in former:
            self._viewer.layers.remove(old)
        self._viewer.layers.move(self._viewer.layers.index(layer), 0)

    def show_key(self, key: SessionKey, image_index: int | None) -> None:
        """Show an image that the session knows by a key, if it is still open."""
        if isinstance(key, SampleKey):
            is_open = key == self._session.key_of(key.name)
            if is_open and (key != self._session.key or image_index is not None):
                self.show_sample(key.name, image_index or 0)
            return
        shown = (layer for layer in self._layers if self._key_of(layer) == key)
        layer = next(shown, None) or self._places.layer_of(key.frames)
        if layer is None:
            return
        if layer is not self._chosen:
            self.choose(layer)
        camera, course = self._cells.camera, self._places.course_of(key.frames, layer)
        camera.turn_to(camera.image_index() if image_index is None else image_index, course)

    # --- inside -----------------------------------------------------------------------------

    def _set_images(self, images: LayerImages | None) -> None:
        self._images = images
        self.images_changed.emit()
        self.layers_changed.emit()

    def _images_shown(self, layer: Any) -> LayerImages:
        """Return a layer's images where the viewer stands along its other axes."""
        axes = LayerAxes.of(layer)
        return LayerImages(layer, axes, place_of(self._viewer, layer, axes))

    def _follow_slider(self) -> None:
        """Use the images of the planes that are shown now, or of the time."""
        if self._chosen is None or self._images is None:
            return
        axes, before, now = self._images.axes, self._images.place, self._cells.camera.place()
        if axes.course(before) != axes.course(now):
            self.choose(self._chosen)
        elif any(before[axis] != now[axis] for axis in axes.planes):
            self._images = LayerImages(self._chosen, axes, now)
            self._planes_timer.start()

    def _sample_of(self, layer: Any) -> Sample | None:
        """Return the cohort's sample whose images a layer has, or None."""
        cohort = self._session.cohort
        if cohort is None:
            return None
        frames = self._places.frames(self._images_shown(layer), layer)
        return self._sample_made_for(layer) or next(
            (s for s in cohort.samples if s.frames == frames), None
        )

    def _sample_made_for(self, layer: Any) -> Sample | None:
        """Return the cohort's sample that a layer was made to show, or None."""
        cohort, name = self._session.cohort, layer.metadata.get(SAMPLE_NAME)
        if cohort is None or not _is_of_sample(layer):
            return None
        return next((s for s in cohort.samples if s.name == name), None)

    def _place_in_study(self, layer: Any) -> tuple[Sample, int] | None:
        """Return the cohort's sample, and its image, that has a file's layer among others."""
        cohort = self._session.cohort
        if cohort is None or self._sample_of(layer) is not None:
            return None
        frames = self._places.frames(self._images_shown(layer), layer)
        places = (
            (sample, sample.frames.index(frame))
            for frame in frames
            for sample in cohort.samples
            if frame in sample.frames
        )
        return next(places, None)

    def _key_of(self, layer: Any) -> SessionKey:
        """Return a key under which the boxes of a layer are found when it is reopened."""
        sample = self._sample_of(layer)
        if sample is not None:
            return self._session.key_of(sample.name)
        images = self._images_shown(layer)
        frames = self._places.frames(images, layer)
        if frames:
            return LayerKey(frames)
        return LayerKey(layer=(layer.unique_id, images.axes.course(images.place)))

    def _listen_to(self, layers: Sequence[Any]) -> None:
        self._to_layers.stop_listening()
        self._layers = list(layers)
        stayed = [layer for layer in self._arrived if layer in layers]
        self._arrived = [*stayed, *(layer for layer in layers if layer not in stayed)]
        for layer in layers:
            for name in _SHOWN:
                self._to_layers.listen(getattr(layer.events, name), self._on_renamed)
            for name in ("data", "axis_labels"):
                self._to_layers.listen(getattr(layer.events, name), self._on_other_images)

    def _on_layers_changed(self) -> None:
        former = self._layers
        self._listen_to([layer for layer in self._viewer.layers if is_image(layer)])
        if self._chosen is not None and self._chosen not in self._layers:
            # Its boxes stay in the session and on the screen.
            self._chosen = None
            self._set_images(None)
        if self._chosen is None:
            self._take_first()
        else:
            self._follow_new(former)
        self.layers_changed.emit()

    def _take_first(self) -> None:
        """Use the image on top, unless only the screen still has the boxes of a removed one."""
        usable = [
            layer
            for layer in self._layers
            # Whoever closes the sample's layer does not want it back for a file of the study.
            if self._place_in_study(layer) is None
        ]
        key = self._session.key
        known = [layer for layer in usable if key is not None and self._key_of(layer) == key]
        if len(self._session.boxes) and not self._session.records.is_saved(self._session.key):
            usable = known
        if usable:
            self.choose((known or usable)[-1])

    def _follow_new(self, former: Sequence[Any]) -> None:
        """Use an image that was opened over one with which nothing was done yet."""
        cover = self.cover
        untouched = not len(self._session.boxes) and not _is_of_sample(self._chosen)
        if untouched and cover is not None and cover not in former:
            self.choose(cover)

    def _on_edit(self, key: SessionKey) -> None:
        if isinstance(key, LayerKey):
            self._session.records.attempt(partial(self._places.note, key.frames))

    def _on_other_images(self, event: Any) -> None:
        """Use the new images of a layer, or what its axes hold now."""
        if self._is_refilling:
            return
        self._places.forget(event.source)
        if event.source is self._chosen:
            self.choose(event.source)

    def _on_renamed(self) -> None:
        self.layers_changed.emit()


def _mark(layer: Any, sample: Sample) -> None:
    """Note of a layer which sample of the study it shows; of no copy of it, nor of a part."""
    layer.metadata = {**layer.metadata, SAMPLE_NAME: sample.name, SAMPLE_LAYER: layer.unique_id}


def _is_of_sample(layer: Any) -> bool:
    """Return whether a layer was made to show a sample of the study."""
    return bool(layer.metadata.get(SAMPLE_LAYER) == layer.unique_id)
