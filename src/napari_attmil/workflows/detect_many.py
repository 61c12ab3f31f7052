"""Detection of cells in many samples, several of them at once where there are workers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from napari_attmil.core import (
    Job,
    JobRun,
    StageRun,
    Unfinished,
    UserError,
    Workers,
    choose_device,
    is_out_of_memory,
    workers_to_read,
)
from napari_attmil.workflows.detect import Detection, detect_cells
from napari_attmil.workflows.steps import NEVER, Progress, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.cells import DetectionSettings
    from napari_attmil.cells.detection import CellSize
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample


Searched = tuple[Detection | UserError, tuple[str, ...]]
"""What was found in a sample, or why it could not be read; and all that was to be told."""


class ToSearch(NamedTuple):
    """Which images of a sample to search, and with which detector; None for the shipped one.

    `view` is the part of each image to search, as for `detect_cells`; all of it if None. `sizes`
    are the cell sizes of a plan for the same search; measured if None.
    """

    sample: Sample
    places: Sequence[int]
    weights: Path | None = None
    view: Float32Array | None = None
    sizes: Sequence[CellSize] | None = None


def detect_study(
    samples: Sequence[Sample],
    reviewed: Mapping[str, frozenset[int]],
    settings: DetectionSettings,
    device_name: str,
    weights: Path | None = None,
    workers: Workers | None = None,
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
    workers
        Who searches samples, as many as pay if None; what is found is the same.

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
    wanted = [
        ToSearch(
            sample,
            [index for index in range(len(sample)) if index not in reviewed.get(sample.name, ())],
            weights,
        )
        for sample in samples
    ]
    wanted = [one for one in wanted if one.places]
    for step in _searched(wanted, settings, device_name, workers, stop):
        if isinstance(step.detail, UserError):
            note = " ".join(filter(None, (step.note, str(step.detail))))
            yield Progress(step.done, step.total, "", note=note)
        elif step.detail is not None:
            number, found = step.detail
            detail = (wanted[number].sample.name, found)
            yield Progress(step.done, step.total, step.text, detail, step.note)
        else:
            yield step
    return not stop.is_set()


def detect_samples(
    wanted: Sequence[ToSearch],
    settings: DetectionSettings,
    device_name: str,
    workers: Workers | None = None,
    stop: Event = NEVER,
) -> Stage[list[Detection]]:
    """Detect the cells of samples and return what is found in each, in their order.

    The arguments are those of `detect_study`.

    Raises
    ------
    UserError
        If an image cannot be read.
    """
    found: dict[int, Detection] = {}
    for step in _searched(wanted, settings, device_name, workers, stop):
        if isinstance(step.detail, UserError):
            raise step.detail
        if step.detail is not None:
            number, found[number] = step.detail
        yield Progress(step.done, step.total, step.text, note=step.note)
    return [found[number] for number in sorted(found)]


def _searched(
    wanted: Sequence[ToSearch],
    settings: DetectionSettings,
    device_name: str,
    workers: Workers | None,
    stop: Event,
) -> Stage[None]:
    """Search samples; the detail of a step is an error, or a sample's number and its `Detection`.

    Stopped early, what is found so far is among them.
    """
    sizes, device = [len(one.places) for one in wanted], choose_device(device_name)
    workers = workers_to_read(workers, sum(sizes), device.name)
    # Alone, a sample that does not fit into memory is left out; fewer workers may have the memory.
    how = (settings, workers.device_for(device).name, workers.are_processes)
    jobs: list[Job[Searched]] = [partial(search_sample, one, *how) for one in wanted]
    run = JobRun(jobs, workers)
    done, total, shares, told = 0, sum(sizes), dict[int, int](), set[int]()
    heard: set[tuple[int, str]] = set()

    def note_of(number: int, *notes: str) -> str:
        """Return what is new of a sample's notes: progress may have brought some of them."""
        fresh = [note for note in notes if note and (number, note) not in heard]
        heard.update((number, note) for note in fresh)
        return " ".join(f"{wanted[number].sample.name}: {note}" for note in fresh)

    def finished(number: int) -> Progress:
        told.add(number)
        (found, notes), text = run.results[number], f"{done} of {total} images"
        detail = found if isinstance(found, UserError) else (number, found)
        note = note_of(number, *notes)
        return Progress(done + sum(shares.values()), total, text, detail, note)

    with closing(iter(run)) as steps:
        for step in steps:
            number, at = step.number, step.progress
            if at is None:
                shares.pop(number, None)
                done += sizes[number]
                yield finished(number)
            else:
                # Of large images the parts are counted.
                # What is shown does not go back when a worker is lost.
                share = sizes[number] * at.done // max(at.total, 1)
                shares[number] = max(share, shares.get(number, 0))
                text = f"{wanted[number].sample.name}: {at.text}"
                note = " ".join(filter(None, (step.note, note_of(number, at.note))))
                yield Progress(done + sum(shares.values()), total, text, note=note)
            if stop.is_set():
                break
    for number in run.results:
        if number not in told:
            yield finished(number)


def search_sample(
    wanted: ToSearch, settings: DetectionSettings, device_name: str, tells_memory: bool = False
) -> Generator[Progress, None, Searched | Unfinished[Searched]]:
    """Detect the cells of a sample; interrupted, return those found so far.

    Parameters
    ----------
    wanted
        What to search.
    settings, device_name
        As for `detect_cells`, with any diameter in pixels or micrometres.
    tells_memory
        Whether full memory is raised, so that fewer workers go on, and not returned.
    """
    from napari_attmil.images import read_images

    stop, notes = Event(), list[str]()
    sample, places, weights, view, sizes = wanted
    try:
        images, own = read_images(sample), settings.in_pixels(sample.pixel_size_um)
        run = StageRun(detect_cells(images, places, own, device_name, weights, view, sizes, stop))
        for step in run:
            notes += filter(None, [step.note])
            try:
                yield Progress(step.done, step.total, step.text, note=step.note)
            except KeyboardInterrupt:
                stop.set()
    except UserError as error:
        if tells_memory and error.__cause__ is not None and is_out_of_memory(error.__cause__):
            raise
        return error, tuple(notes)
    searched = (run.result, tuple(notes))
    return Unfinished(searched) if stop.is_set() else searched
