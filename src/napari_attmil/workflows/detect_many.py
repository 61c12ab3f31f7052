"""Detection of cells in all images of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil.core import StageRun, UserError
from napari_attmil.workflows.detect import detect_cells
from napari_attmil.workflows.steps import NEVER, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.cells import DetectionSettings
    from napari_attmil.images import Sample


def detect_study(
    samples: Sequence[Sample],
    reviewed: Mapping[str, frozenset[int]],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    stop: Event = NEVER,
) -> Stage[bool]:
    """Detect the cells of sample after sample, in images that nobody has reviewed.

    Parameters
    ----------
    samples
        All samples of the study.
    reviewed
        The reviewed images of samples, by name; they are not searched.
    settings, device_name, weights, stop
        As for `detect_cells`; any diameter is in pixels, or in micrometres.

    Yields
    ------
    Progress
        `detail` is a pair when a sample is finished, its name and its `Detection`, otherwise None;
        `note` says why a sample was left out.

    Returns
    -------
    bool
        Whether it came to its end.
    """
    from napari_attmil.images import read_images

    places = [
        [index for index in range(len(sample)) if index not in reviewed.get(sample.name, ())]
        for sample in samples
    ]
    done, total = 0, sum(map(len, places))
    for sample, wanted in zip(samples, places, strict=True):
        if not wanted:
            continue
        try:
            images, own = read_images(sample), settings.in_pixels(sample.pixel_size_um)
            run = StageRun(detect_cells(images, wanted, own, device_name, weights, stop=stop))
            for step in run:
                # Of large images the parts are counted.
                share = len(wanted) * step.done // max(step.total, 1)
                note = f"{sample.name}: {step.note}" if step.note else ""
                yield Progress(done + share, total, f"{sample.name}: {step.text}", note=note)
            done += len(wanted)
            detail = (sample.name, run.result)
            yield Progress(done, total, f"{done} of {total} images", detail=detail)
        except UserError as error:
            done += len(wanted)
            yield Progress(done, total, "", note=str(error))
        if stop.is_set():
            return False
    return True
