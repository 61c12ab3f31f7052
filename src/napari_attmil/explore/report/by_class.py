"""The sections of a report on classes: errors, highest cells, shapes, severity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from napari_attmil.bags.attribution import TOP_CELLS
from napari_attmil.core import finished
from napari_attmil.explore.cell_export import CONTRIBUTION, study_table
from napari_attmil.explore.class_curves import class_curves_of
from napari_attmil.explore.cohort_table import confusion, confusion_in_words, sample_table
from napari_attmil.explore.figures import class_curves_plot, forest_plot, severity_plot
from napari_attmil.explore.report.content import Finding, cell_pictures
from napari_attmil.explore.shapes import (
    compare_high_cells,
    findings_in_words,
    healthy_cells,
    healthy_class_of,
    measure_shapes,
    severity_by_sample,
    severity_threshold,
    shape_columns,
)
from napari_attmil.images import common_pixel_size_um, read_images
from napari_attmil.reports import (
    Block,
    Drawing,
    Heading,
    Paragraph,
    Pictures,
    TextTable,
    figure_picture,
)

FIGURE_PX: Final = (720, 280)


def about_classes(findings: Sequence[Finding]) -> list[Block]:
    """Return the confusion table, and the curves of each class against the rest."""
    table = sample_table([(f.sample, len(f.boxes), f.prediction) for f in findings])
    counts = confusion(table)
    lines = tuple(
        (str(name), *(str(count) if count else "" for count in row))
        for name, row in zip(counts.index, counts.to_numpy().tolist(), strict=True)
    )
    blocks: list[Block] = [
        Heading("By class", 2),
        Paragraph("Samples of each class (lines) by the class they were taken for (columns)."),
        Paragraph(confusion_in_words(table), "note"),
        TextTable(("", *map(str, counts.columns)), lines),
    ]
    curves = class_curves_of(table)
    if not curves:
        return blocks
    roc, precision = class_curves_plot(curves, "roc"), class_curves_plot(curves, "precision_recall")
    return [
        *blocks,
        _figure(roc, "Each class against the rest: receiver operating characteristic."),
        _figure(precision, "Each class against the rest: precision and recall."),
    ]


def about_class(name: str, findings: Sequence[Finding], cells: pd.DataFrame) -> list[Block]:
    """Return the section on the highest cells of one class.

    Parameters
    ----------
    name
        The class.
    findings
        Its samples.
    cells
        The measured cells of the whole cohort; see `measured_cells`.
    """
    of_class = cells[cells["class"] == name]
    highest = of_class.nlargest(TOP_CELLS, "attention")
    contribution = CONTRIBUTION + name
    first = findings[0].prediction
    supported = name if contribution in cells else first.predicted
    healthy = healthy_class_of(cells, first.healthy_class)
    blocks: list[Block] = [
        Heading(f"Class {name}", 2),
        Heading(f"The {len(highest)} cells with the highest attention of the class", 3),
        cell_pictures(highest, [finding.sample for finding in findings], supported),
        *_shapes(of_class, healthy_cells(cells, name, "attention", healthy)),
    ]
    if contribution in cells and name != healthy:
        threshold, words = severity_threshold(cells, contribution, healthy)
        drawing = severity_plot(severity_by_sample(cells, contribution, threshold), name)
        caption = f"Share of each sample's cells {words}, with 95 % intervals; a line a patient."
        blocks += [Heading("Severity", 3), _figure(drawing, caption)]
    return blocks


def measured_cells(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return all cells with class, patient, attention, contributions and shapes."""
    samples = [finding.sample for finding in findings]
    tables = []
    for finding in findings:
        sample, boxes = finding.sample, finding.boxes.sorted_by_image()
        size_um = common_pixel_size_um(sample, samples)
        shapes = finished(measure_shapes(read_images(sample), boxes, size_um))
        tables.append(study_table(sample, boxes, finding.prediction, shapes, finding.classified))
    return pd.concat(tables, ignore_index=True)


def _shapes(cells: pd.DataFrame, healthy: pd.DataFrame | None) -> list[Block]:
    effects = compare_high_cells(cells, "attention", shape_columns(cells), healthy)
    caption = (
        "How much more often a cell with high attention exceeds another of its sample than the "
        "other way round, the mean over patients with its 95 % interval; filled where p < 0.05 "
        "after correction for all features and where it goes beyond healthy samples (bars)."
    )
    return [
        Heading("Do cells with high attention look different?", 3),
        *(Paragraph(sentence) for sentence in findings_in_words(effects)),
        _figure(forest_plot(effects, "attention"), caption),
    ]


def _figure(drawing: Drawing, caption: str) -> Pictures:
    return Pictures((figure_picture(drawing, FIGURE_PX, caption),))
