"""The sections of a report on samples, as blocks; every figure can be traced to its pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from napari_attmil.core import __version__
from napari_attmil.explore.cell_export import CONTRIBUTION, CORNERS, cell_table
from napari_attmil.explore.colouring import attention_colours
from napari_attmil.explore.summary import (
    classification_report,
    held_out_in_words,
    in_words,
    top_cells,
)
from napari_attmil.images import Frame, Sample, frame_digest, open_frame
from napari_attmil.reports import (
    Block,
    CellPictures,
    Heading,
    Listing,
    Paragraph,
    Pictures,
    TextTable,
    boxed_picture,
    encoded,
    gallery_scale,
    thumbnail,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.bags import Prediction
    from napari_attmil.cells import Boxes

TITLE: Final = "What the classifier saw"
PICTURES: Final = 3
"""Images shown of a sample: those with the most attention."""
IMAGES_OPEN: Final = 4
"""Images that stay decoded while cells are cut out."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A classified sample; its images are read when its part of the report is written.

    Attributes
    ----------
    sample
        Where the images come from.
    boxes
        Its cells.
    prediction
        The prediction for them.
    classified
        The sample's cells when it was classified; None if they are the same.
    """

    sample: Sample
    boxes: Boxes
    prediction: Prediction
    classified: Boxes | None = None

    def cells(self) -> pd.DataFrame:
        """Return the table of its cells, the sample's name among the columns."""
        table = cell_table(self.sample, self.boxes, self.prediction, self.classified)
        return table.assign(sample=self.sample.name)


def opening(findings: Sequence[Finding], caution: str, on_new_patients: str = "") -> list[Block]:
    """Return the title, how the classifier does on new patients, and one line a sample."""
    lines = tuple(
        (
            finding.sample.name,
            finding.sample.label or "",
            finding.prediction.predicted,
            f"{finding.prediction.probabilities.max():.0%}",
            in_words(finding.prediction),
            f"{len(finding.boxes)} in {len(finding.sample)} images",
        )
        for finding in findings
    )
    head = ("Sample", "Class", "Most probable", "Probability", "Certainty", "Cells")
    said = ((f.prediction.frequencies_in_words(), f.prediction.note) for f in findings)
    notes = dict.fromkeys(note for notes in said for note in notes if note)
    return [
        Heading(TITLE, 1),
        Paragraph(caution, "caution"),
        *([Paragraph(f"The classifier: {on_new_patients}")] if on_new_patients else []),
        TextTable(head, lines),
        *(Paragraph(note, "note") for note in notes),
    ]


def about_sample(finding: Finding, level: Literal[2, 3]) -> list[Block]:
    """Return the section on one sample below a heading of that level: images, highest cells."""
    prediction, boxes = finding.prediction, finding.boxes.sorted_by_image()
    table = finding.cells()
    scored = table[table["attention"].notna()]
    highest = scored.take(top_cells(scored["attention"].to_numpy(np.float64)))
    return [
        Heading(finding.sample.name, level),
        *_probabilities(prediction),
        *([Paragraph(without, "note")] if (without := held_out_in_words(prediction)) else []),
        Paragraph(
            f"The attention rests on {prediction.effective_cells:.1f} of "
            f"{len(prediction.cell_id)} cells "
            "(one over the sum of its squares). Boxes are coloured by the rank of their attention "
            "in the sample, from dark blue, the lowest, to white, the highest; orange boxes are "
            "newer than the classification, or were not drawn for it. "
            f"Digest of the boxes: {boxes.digest()}"
        ),
        *_images(finding.sample, boxes, table),
        Heading(f"The {len(highest)} cells with the highest attention", 4 if level == 3 else 3),
        cell_pictures(highest, [finding.sample], prediction.predicted),
    ]


def cell_pictures(cells: pd.DataFrame, samples: Sequence[Sample], name: str) -> CellPictures:
    """Return cells cut out of their images, in their order.

    Parameters
    ----------
    cells
        As `Finding.cells`.
    samples
        Those of the cells.
    name
        Class whose contribution stands below each.
    """
    scale = gallery_scale(cells, samples, margin=1.5)
    opened = lru_cache(maxsize=IMAGES_OPEN)(open_frame)
    pictures = []
    for cell in cells.to_dict("records"):
        image = opened(Frame(Path(cell["image"]), cell["frame"]))
        corners = [cell[corner] for corner in CORNERS]
        cut = thumbnail(image, corners, scale.side_px(cell["sample"]))
        pictures.append(encoded(cut, "PNG", _about_cell(cell, name)))
    return CellPictures(tuple(pictures), scale)


def closing(findings: Sequence[Finding], model: Mapping[str, Any]) -> list[Block]:
    """Return everything that is needed to reproduce the report."""
    made = {"napari-attmil": __version__, "model": dict(model)}
    figures = classification_report([finding.prediction for finding in findings], model)
    return [
        Heading("Where this comes from", 2),
        Listing("Program, model and settings", json.dumps(made, indent=1, default=str)),
        Listing("All figures as JSON", json.dumps(figures["samples"], indent=1)),
    ]


def _probabilities(prediction: Prediction) -> list[Block]:
    """Return a table with one line a class, the most probable first."""
    alone, possible = prediction.member_probabilities, prediction.prediction_set
    lines = []
    for k in np.argsort(-prediction.probabilities, kind="stable"):
        spread = f"{alone[:, k].min():.0%} to {alone[:, k].max():.0%}" if len(alone) > 1 else ""
        mark = "" if possible is None else ("yes" if prediction.classes[k] in possible else "no")
        share = f"{prediction.probabilities[k]:.1%}"
        lines.append((prediction.classes[k], share, spread, mark))
    head = ("Class", "Probability", "Single models", "Cannot be ruled out")
    blocks: list[Block] = [TextTable(head, tuple(lines))]
    if prediction.coverage is not None:
        blocks.append(Paragraph(f"At {prediction.coverage:.0%} coverage.", "note"))
    return blocks


def _images(sample: Sample, boxes: Boxes, table: pd.DataFrame) -> list[Block]:
    """Return the images that hold the most attention."""
    attention = np.nan_to_num(table["attention"].to_numpy(np.float64))
    held = np.bincount(boxes.image_index, attention, minlength=len(sample))
    colours = attention_colours(table["attention"])
    order = np.argsort(attention, kind="stable")  # the highest are drawn last
    pictures = []
    for index in np.argsort(-held, kind="stable")[:PICTURES]:
        frame = sample.frames[index]
        rows = order[boxes.image_index[order] == index]
        caption = (
            f"{frame.path}, frame {frame.page}: {len(rows)} cells with {held[index]:.0%} of the "
            f"attention. Digest of the image: {frame_digest(frame)}"
        )
        boxed = boxed_picture(open_frame(frame), boxes.xyxy[rows], colours[rows])
        pictures.append(encoded(boxed, "JPEG", caption))
    hidden = len(sample) - len(pictures)
    more = [Paragraph(f"{hidden} more images are not shown.", "note")] if hidden else []
    return [Pictures(tuple(pictures)), *more]


def _about_cell(cell: Mapping[Any, Any], name: str) -> str:
    corners = ", ".join(f"{cell[corner]:g}" for corner in CORNERS)
    return (
        f"Cell {cell['cell_id']}: attention {cell['attention']:.4f}, contribution to {name} "
        f"{cell[CONTRIBUTION + name]:+.3f}. {cell['image']}, frame {cell['frame']}, "
        f"box {corners} px"
    )
