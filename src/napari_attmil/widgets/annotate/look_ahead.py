"""Detects the cells of the next images while the user works on this one."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from qtpy.QtCore import QObject, Signal

from napari_attmil import workflows
from napari_attmil.cells import DetectionSettings
from napari_attmil.images import Sample
from napari_attmil.session import ReviewState, SessionKey
from napari_attmil.widgets.annotate.reviewing import Reviewing
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, TaskRunner, pause_timer
from napari_attmil.widgets.viewer import Place

AHEAD = 3
SOON_MS = 50


class LookAhead(Listening, QObject):
    """Detects in new images only, one after the other, this image first.

    Parameters
    ----------
    context, reviewing
        The panel's.

    Signals
    -------
    working_on(text)
        The image that is searched; empty when none is.
    """

    working_on = Signal(str)

    def __init__(
        self, context: PanelContext, reviewing: Reviewing, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._context, self._reviewing = context, reviewing
        self._runner = TaskRunner(self)
        self._tried: set[tuple[SessionKey | None, int]] = set()
        self._is_on = False
        self._timer = pause_timer(self._start_next, SOON_MS, self)
        reviewing.place_changed.connect(self._soon)

    def set_on(self, is_on: bool) -> None:
        """Look ahead from now on, or no longer."""
        self._is_on = is_on
        if is_on:
            self._soon()
        else:
            self._runner.stop()

    @property
    def busy(self) -> bool:
        """Whether an image is searched."""
        return self._runner.busy

    def _soon(self) -> None:
        if self._is_on:
            self._timer.start()

    def _start_next(self) -> None:
        place = None if self._runner.busy or not self._is_on else self.next_place()
        if place is None:
            return
        sample = next(s for s in self._reviewing.samples if s.name == place[0])
        key = self._reviewing.key_of(sample)
        self._tried.add((key, place[1]))
        entry = self._reviewing.entry_at(place)
        title = f"Finding the cells of {entry.title if entry else place[0]}"
        self.working_on.emit(f"{title} …")
        self._runner.start(
            _detect_one,
            sample,
            self._context.images if key == self._context.session.key else None,
            place[1],
            self._context.detection_settings,
            self._context.device_name,
            self._context.detector_path,
            on_done=lambda detection: self._take_over(detection, key, place),
            on_progress=lambda step: self.working_on.emit(f"{title}: {step.text}"),
            on_end=lambda: self.working_on.emit(""),
        )

    def next_place(self) -> Place | None:
        """Return the next new image, beginning with the one shown."""
        queue, here = self._reviewing.queue, self._reviewing.place
        start = next((row for row, entry in enumerate(queue) if entry.place == here), 0)
        samples = {sample.name: sample for sample in self._reviewing.samples}
        for entry in queue[start : start + AHEAD + 1]:
            tried = (self._reviewing.key_of(samples[entry.sample]), entry.image_index)
            if entry.state == ReviewState.NEW and tried not in self._tried:
                return entry.place
        return None

    def _take_over(
        self, detection: workflows.Detection, key: SessionKey | None, place: Place
    ) -> None:
        keys = {sample.name: self._reviewing.key_of(sample) for sample in self._reviewing.samples}
        is_open = keys.get(place[0]) == key
        entry = self._reviewing.entry_at(place) if is_open else None
        # If the user has begun to draw meanwhile, their boxes stay alone.
        if detection.images and entry is not None and entry.state == ReviewState.NEW:
            boxes, within = detection.boxes, detection.within
            self._context.session.editor.merge(
                boxes, detection.images, key, automatic=True, within=within
            )
            self._reviewing.refresh_sample(place[0])
        self._soon()


def _detect_one(
    sample: Sample,
    images: workflows.Images | None,
    image_index: int,
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None,
    stop: Event,
) -> workflows.Stage[workflows.Detection]:
    """Find the cells of one image; `images` is None if the sample is not shown."""
    from napari_attmil.images import read_images

    images = read_images(sample) if images is None else images
    settings = settings.in_pixels(sample.pixel_size_um)
    places = [image_index]
    steps = workflows.detect_cells(images, places, settings, device_name, weights, stop=stop)
    return (yield from steps)
