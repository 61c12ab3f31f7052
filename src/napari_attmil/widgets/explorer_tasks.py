"""The explorer's long work, as tasks for a `TaskRunner`; torch is imported in here only."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort, Sample
from napari_attmil.widgets import tasks
from napari_attmil.widgets.workers import Progress

if TYPE_CHECKING:
    from napari_attmil.bags.what_if import RemovalCurve, WhatIf


@dataclass(frozen=True, eq=False)
class Removal:
    """What is asked about a sample without some of its cells, and the first answer."""

    what_if: WhatIf
    curve: RemovalCurve
    distance_from_healthy: npt.NDArray[Any] | None


def prepare_removal(
    stop: Event,
    sample: Sample,
    images: tasks.Images,
    boxes: Boxes,
    classifier: Any,
    score: npt.NDArray[Any],
    device_name: str,
    cohort: Cohort | None,
) -> Generator[Progress, None, Removal | None]:
    """Read a sample's cells and take those of the highest score away one by one."""
    bag = yield from tasks.bag_of_sample(
        stop, sample, images, boxes, classifier.feature_settings, device_name, cohort
    )
    if bag is None:
        return None
    yield Progress(0, 0, "Taking cells away")
    from napari_attmil.bags.what_if import WhatIf

    what_if = WhatIf(classifier, bag)
    return Removal(what_if, what_if.curve(score), what_if.distance_from_healthy())
