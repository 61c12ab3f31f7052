"""The explorer's computations on cells: their shapes, a map, and removal from a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_attmil.explore import map_of_cells
from napari_attmil.images import common_pixel_size_um
from napari_attmil.session import MAP_COLUMNS
from napari_attmil.workflows.prepare import CellsAtHand, bag_at_hand
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until, within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    import numpy.typing as npt

    from napari_attmil.bags import Classifier
    from napari_attmil.bags.attribution import RemovalCurve, WhatIf
    from napari_attmil.core import Int64Array
    from napari_attmil.explore import MapMethod
    from napari_attmil.images import Sample
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True, eq=False)
class Measured:
    """New columns of one sample's cells, one row per box."""

    cells: CellsAtHand
    columns: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Removal:
    """Predictions for a sample without some of its cells, and the first curve of removals.

    Attributes
    ----------
    what_if, curve
        The predictions, and the curve.
    distance_from_healthy
        (n,) of each of the sample's boxes, NaN where it was not drawn; None without healthy cells.
    """

    what_if: WhatIf
    curve: RemovalCurve
    distance_from_healthy: npt.NDArray[Any] | None


def measure_cells(
    samples: Sequence[CellsAtHand], study_samples: Sequence[Sample] = (), stop: Event = NEVER
) -> Stage[list[Measured]]:
    """Measure the shapes of cells, sample by sample; stopped early, return those so far.

    The unit of length is the same for all samples of the study, whichever of them are measured.

    Yields
    ------
    Progress
        `detail` is a sample's `Measured` when it is finished, otherwise None.
    """
    from napari_attmil.explore.shapes import measure_shapes
    from napari_attmil.images import read_images

    measured: list[Measured] = []
    for done, cells in enumerate(samples):
        images = read_images(cells.sample) if cells.images is None else cells.images
        compared = study_samples if cells.sample in study_samples else (cells.sample,)
        size_um = common_pixel_size_um(cells.sample, compared)
        text = f"Measuring the cells of sample {done + 1} of {len(samples)}"
        here = Progress(done, len(samples), text)
        shapes = yield from until(within(measure_shapes(images, cells.boxes, size_um), here), stop)
        if shapes is None:
            break
        measured.append(Measured(cells, shapes))
        yield replace(here, done=done + 1, detail=measured[-1])
    return measured


def map_cells(
    samples: Sequence[CellsAtHand],
    study: Study,
    classifier: Classifier,
    method: MapMethod,
    device_name: str,
    stop: Event = NEVER,
) -> Stage[list[Measured]]:
    """Compute a map on which similar cells are close; stopped early, return nothing."""
    yield Progress(0, len(samples), "Loading the detector")
    from napari_attmil.bags.attribution import cell_embeddings

    embedded, drawn = [], []
    for cells in samples:
        bag = yield from bag_at_hand(study, cells, classifier, device_name, stop)
        if bag is None:
            return []
        embedded.append(cell_embeddings(classifier, bag))
        drawn.append(bag.cell_id)
    yield Progress(0, 0, "Drawing the map")
    places = map_of_cells(np.concatenate(embedded), method).astype(np.float64)
    parts = np.split(places, np.cumsum([len(ids) for ids in drawn])[:-1])
    return [
        Measured(cells, pd.DataFrame(_of_all(cells, ids, part), columns=list(MAP_COLUMNS)))
        for cells, ids, part in zip(samples, drawn, parts, strict=True)
    ]


def prepare_removal(
    study: Study,
    cells: CellsAtHand,
    classifier: Classifier,
    score: npt.NDArray[Any],
    device_name: str,
    stop: Event = NEVER,
) -> Stage[Removal | None]:
    """Read a sample's cells and remove those of the highest score one by one."""
    bag = yield from bag_at_hand(study, cells, classifier, device_name, stop)
    if bag is None:
        return None
    yield Progress(0, 0, "Removing cells one by one")
    from napari_attmil.bags.attribution import WhatIf

    what_if = WhatIf(classifier, bag)
    distance = what_if.distance_from_healthy()
    if distance is not None:
        distance = _of_all(cells, bag.cell_id, distance)
    return Removal(what_if, what_if.curve(score), distance)


def _of_all(
    cells: CellsAtHand, drawn: Int64Array, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (n, ...) a bag's values in the order of all boxes; NaN for cells not drawn."""
    rows = np.full((len(cells.boxes), *values.shape[1:]), np.nan)
    rows[cells.boxes.index_of(drawn)] = values
    return rows
