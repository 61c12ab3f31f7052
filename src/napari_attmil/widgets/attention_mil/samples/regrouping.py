"""Lets the open study take another grouping of its images, and keeps what belongs to them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from napari_attmil.images import Cohort
from napari_attmil.session import UNTOUCHED
from napari_attmil.widgets.context import PanelContext


def part_with(cohort: Cohort, images: Collection[Path]) -> Cohort:
    """Return a cohort with nothing but some image files; the whole if it has none of them."""
    wanted = {os.path.abspath(image) for image in images}
    kept = [
        (sample, tuple(frame for frame in sample.frames if os.path.abspath(frame.path) in wanted))
        for sample in cohort.samples
    ]
    samples = tuple(replace(sample, frames=frames) for sample, frames in kept if frames)
    return replace(cohort, samples=samples) if samples else cohort


def use_regrouped(context: PanelContext, cohort: Cohort) -> None:
    """Open a cohort of the same images: the image shown and fitting predictions stay.

    Boxes, reviews and their undo are kept by the images' paths, so they come back from the file.
    """
    session = context.session
    former = () if session.cohort is None else session.cohort.samples
    states = session.states_of_samples()
    predicted = {s.frames: states.get(s.name, UNTOUCHED) for s in former}
    shown = shown_image(context)
    context.image_choice.use_cohort(cohort)
    if session.cohort is not cohort:
        return  # The person stays with the former one.
    for sample in cohort.samples:
        state = predicted.get(sample.frames, UNTOUCHED)
        if state.prediction is not None:
            prediction = replace(state.prediction, sample=sample.name)
            session.predictions.set(prediction, state.classified, session.key_of(sample.name))
    if shown is not None:
        show_image(context, *shown)


def shown_image(context: PanelContext) -> tuple[Path, int] | None:
    """Return file and page of the image that is shown, None if there is none."""
    sample, index = context.session.sample, context.cells.camera.image_index()
    if sample is None or not 0 <= index < len(sample.frames):
        return None
    return sample.frames[index].path, sample.frames[index].page


def show_image(context: PanelContext, path: Path, page: int = 0) -> None:
    """Show an image of the cohort, whichever sample has it now."""
    cohort = context.session.cohort
    for sample in () if cohort is None else cohort.samples:
        for index, frame in enumerate(sample.frames):
            if (frame.path, frame.page) == (path, page):
                context.image_choice.show_sample(sample.name, index)
                return
