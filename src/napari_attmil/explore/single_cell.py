"""What is known of one cell, as one value for the card in the viewer, notebooks and the prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import SOURCE_NAMES
from napari_attmil.core import CAUTION, ordinal
from napari_attmil.explore.cell_export import attention_of, contribution_of
from napari_attmil.explore.shapes import feature_title

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from napari_attmil.bags import Prediction
    from napari_attmil.cells import Boxes
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample

QUANTILES: Final = (0.025, 0.25, 0.5, 0.75, 0.975)
SIMILAR_CELLS: Final = 6


@dataclass(frozen=True)
class CellMeasure:
    """A measure of a cell beside those of all cells of its sample.

    Attributes
    ----------
    column
        Its name in tables.
    value
        Of the cell.
    below
        Share of the sample's measured cells that have less, 0 to 1; ties count half.
    quantiles
        The sample's, at `QUANTILES`.
    """

    column: str
    value: float
    below: float
    quantiles: tuple[float, ...]

    @property
    def title(self) -> str:
        """The name of the measure with its unit."""
        return feature_title(self.column)

    @property
    def place(self) -> str:
        """Where the cell stands: "more than 87 % of the sample's cells"."""
        share = self.below if self.below >= 0.5 else 1 - self.below
        side = "more" if self.below >= 0.5 else "less"
        return f"{side} than {share:.0%} of the sample's cells"


@dataclass(frozen=True)
class SimilarCell:
    """A cell of another sample that the classifier sees much as the one in question.

    Attributes
    ----------
    sample, label, image, cell_id
        Its sample, the sample's class (None if unknown), the image from 1, the cell.
    xyxy
        Its box in pixels.
    distance
        Of the two in the classifier's embedding.
    """

    sample: str
    label: str | None
    image: int
    cell_id: int
    xyxy: tuple[float, float, float, float]
    distance: float


@dataclass(frozen=True, eq=False)
class CellFacts:
    """What is known of one cell; what is not known (yet) is None or empty.

    Attributes
    ----------
    sample, patient, label
        Where it comes from; the label is the sample's class, None if unknown.
    image, cell_id, xyxy
        The image from 1, the cell, its box in pixels.
    made_by, score
        Who made the box, and how sure the detector was of it, 0 to 1.
    cells
        How many cells of the sample have an attention.
    attention, rank
        Its weight among these, 0 to 1, and its place, 1 for the highest.
    contribution
        What it adds to the log probability of each class, less its mean over the classes: it
        speaks for those above 0.
    strongest
        The largest such contribution of any cell of the sample, to compare with; positive.
    probabilities, without
        Those of the sample, and what they would be without the cell.
    measures
        Its shape and focus.
    similar
        Cells of other samples, the most similar first, one a sample.
    """

    sample: str
    patient: str
    label: str | None
    image: int
    cell_id: int
    xyxy: tuple[float, float, float, float]
    made_by: str
    score: float
    cells: int = 0
    attention: float | None = None
    rank: int | None = None
    contribution: Mapping[str, float] = field(default_factory=dict)
    strongest: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    without: Mapping[str, float] | None = None
    measures: tuple[CellMeasure, ...] = ()
    similar: tuple[SimilarCell, ...] = ()

    @property
    def title(self) -> str:
        """The cell, its image and its sample."""
        return f"Cell {self.cell_id} in image {self.image} of {self.sample}"

    @property
    def about_attention(self) -> str:
        """Attention and rank in words; empty without a classification."""
        if self.attention is None or self.rank is None:
            return ""
        place = f"{ordinal(self.rank)} of {self.cells} in attention"
        even = self.attention * self.cells
        return f"{place} ({self.attention:.1%}, {even:.2g} times an even share)"

    def lines(self) -> list[tuple[str, str]]:
        """Return all of it as pairs of a heading and a text."""
        known = f"{self.sample}, patient {self.patient}, class {self.label or 'unknown'}"
        lines = [("Sample", known), ("Box", f"{self.made_by}, score {self.score:.2f}")]
        if self.about_attention:
            lines.append(("Attention", self.about_attention))
        for name, value in self.contribution.items():
            lines.append((f"For {name}" if value > 0 else f"Against {name}", f"{value:+.3f}"))
        for name, before in self.probabilities.items():
            after = "" if self.without is None else f", without the cell {self.without[name]:.1%}"
            lines.append((f"Probability of {name}", f"{before:.1%}{after}"))
        lines += [(each.title, f"{each.value:.4g}, {each.place}") for each in self.measures]
        for cell in self.similar:
            whose = f"{cell.sample}, class {cell.label or 'unknown'}"
            lines.append(("Similar", f"cell {cell.cell_id} in image {cell.image} of {whose}"))
        return lines

    def __str__(self) -> str:
        """Return all of it as text."""
        return "\n".join(
            [self.title, *(f"  {name}: {text}" for name, text in self.lines()), CAUTION]
        )

    def _repr_html_(self) -> str:
        """Return all of it as a table, for notebooks."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(text)}</td></tr>"
            for name, text in self.lines()
        )
        title = f"<caption><b>{escape(self.title)}</b></caption>"
        return f"<table>{title}{rows}</table><p>{escape(CAUTION)}</p>"


def cell_facts(
    sample: Sample,
    boxes: Boxes,
    cell_id: int,
    prediction: Prediction | None = None,
    classified: Boxes | None = None,
) -> CellFacts:
    """Return what is known of a cell without any computing.

    Parameters
    ----------
    sample, boxes, prediction, classified
        See `cell_table`.
    cell_id
        One of the boxes.

    Raises
    ------
    KeyError
        If there is no such cell.
    """
    row = int(boxes.index_of([cell_id])[0])
    x_min, y_min, x_max, y_max = map(float, boxes.xyxy[row])
    said = {} if prediction is None else _said(row, boxes, prediction, classified)
    return CellFacts(
        sample.name,
        sample.patient,
        sample.label,
        int(boxes.image_index[row]) + 1,
        cell_id,
        (x_min, y_min, x_max, y_max),
        SOURCE_NAMES[boxes.source[row]],
        float(boxes.score[row]),
        **said,
    )


def measures_of(measured: pd.DataFrame, row: int) -> tuple[CellMeasure, ...]:
    """Return the measures of one of a sample's cells; those that it lacks are left out.

    Parameters
    ----------
    measured
        One row a cell, see `napari_attmil.explore.shapes.measure_shapes`.
    row
        The cell's position.
    """
    measures = []
    for column, values in measured.items():
        known = values.to_numpy(np.float64)
        value, known = float(known[row]), known[np.isfinite(known)]
        if np.isfinite(value):
            below = float(np.mean(known < value) + np.mean(known == value) / 2)
            quantiles = tuple(np.quantile(known, QUANTILES).tolist())
            measures.append(CellMeasure(str(column), value, below, quantiles))
    return tuple(measures)


def similar_cells(
    embedding: Float32Array,
    others: Iterable[tuple[Sample, Boxes, Float32Array]],
    count: int = SIMILAR_CELLS,
) -> tuple[SimilarCell, ...]:
    """Return the most similar cell of each of the samples that have the most similar ones.

    Parameters
    ----------
    embedding
        (D,) the cell's, see `napari_attmil.bags.attribution.cell_embeddings`.
    others
        Other samples with their n boxes and (n, D) embeddings.
    count
        Maximum number of cells.
    """
    nearest = []
    for sample, boxes, embeddings in others:
        if len(boxes):
            away = np.linalg.norm(embeddings - embedding, axis=1)
            place = int(np.argmin(away))
            nearest.append(_similar(sample, boxes, place, float(away[place])))
    return tuple(sorted(nearest, key=lambda cell: cell.distance)[:count])


def _similar(sample: Sample, boxes: Boxes, row: int, distance: float) -> SimilarCell:
    x_min, y_min, x_max, y_max = map(float, boxes.xyxy[row])
    image, cell = int(boxes.image_index[row]) + 1, int(boxes.cell_id[row])
    corners = (x_min, y_min, x_max, y_max)
    return SimilarCell(sample.name, sample.label, image, cell, corners, distance)


def _said(
    row: int, boxes: Boxes, prediction: Prediction, classified: Boxes | None
) -> dict[str, Any]:
    """Return what a prediction says of one of the boxes; only the sample's if it is newer."""
    probabilities = dict(zip(prediction.classes, prediction.probabilities.tolist(), strict=True))
    said: dict[str, Any] = {"probabilities": probabilities}
    attention = attention_of(boxes, prediction, classified)
    if np.isnan(attention[row]):
        return said
    contribution = _relative(contribution_of(boxes, prediction, classified))
    return said | {
        "cells": int(np.count_nonzero(np.isfinite(attention))),
        "attention": float(attention[row]),
        "rank": 1 + int(np.count_nonzero(attention > attention[row])),
        "contribution": dict(zip(prediction.classes, contribution[row].tolist(), strict=True)),
        "strongest": float(np.nanmax(np.abs(contribution))),
    }


def _relative(contribution: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (n, K) contributions less each cell's mean, which moves no probability."""
    return np.asarray(contribution - contribution.mean(axis=1, keepdims=True))
