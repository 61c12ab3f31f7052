"""The tables of an evaluation's report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from typing import Any, Final

from napari_attmil.bags import TABLE_1
from napari_attmil.core import with_interval

Report = Mapping[str, Any]
Figure = Mapping[str, Any] | None
Column = tuple[str, Callable[[Report], str]]
"""The head, and a function that writes the text of a line."""


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes
    ----------
    title
        Its heading.
    head, lines
        Texts of the columns' heads and of the table's cells.
    note
        How its figures are defined; without markup, as Markdown and HTML share it.
    """

    title: str
    head: list[str]
    lines: list[list[str]]
    note: str = ""


def tables(report: Report) -> list[Table]:
    """Return all tables of a report, first the one in the form of the paper's Table 1."""
    rows = list(report["methods"].values())
    scores = [
        {"title": row["title"], "score": score, **figures}
        for row in rows
        for score, figures in row["attribution"].items()
    ]
    classes = marked_classes(report)
    published = [row for row in rows if row["kind"] == "single" and row["method"] in TABLE_1]
    made = (
        _table("In the form of the paper's Table 1", published, *_TABLE_1),
        _table(
            "Further methods, the ensemble and controls",
            [row for row in rows if row not in published],
            *_FURTHER,
        ),
        _table("95 % intervals", rows, *_INTERVALS),
        _differences(report),
        _table("Probabilities", rows, *_PROBABILITIES),
        _prediction_sets(rows, report["ensemble"]["coverage"]),
        _auprc(rows, classes),
        _score_table("Altered cells found", scores, *_CELLS_FOUND),
        _cells_found_by_class(scores, classes),
        _score_table("Predicted class without and with the highest cells", scores, *_CELLS_REMOVED),
        _score_table("Agreement between runs", scores, *_AGREEMENT),
        _stands_apart(rows, report["cohort"]["reference_class"]),
    )
    return [table for table in made if table.lines]


def marked_classes(report: Report) -> dict[str, str]:
    """Return the name of every class, with a dagger where its figures rest on few patients."""
    classes = report["cohort"]["classes"].items()
    return {name: f"{name} †" if size["few"] else name for name, size in classes}


def _table(title: str, lines: Iterable[Report], columns: Sequence[Column], note: str = "") -> Table:
    head = [name for name, _ in columns]
    return Table(title, head, [[write(line) for _, write in columns] for line in lines], note)


def _score_table(
    title: str, scores: Sequence[Report], figures: Mapping[str, str], note: str
) -> Table:
    """Return a table with a line for every row and score that has any of the figures.

    `figures` has their names by the heads of their columns.
    """
    lines = [line for line in scores if any(line[name] is not None for name in figures.values())]
    return _table(title, lines, (_METHOD, _RANKED_BY, *_columns(_interval, figures)), note)


def _columns(write: Callable[[Any], str], heads: Mapping[str, str]) -> list[Column]:
    """Return columns of the figures under dotted paths of keys, by head."""

    def column(path: str) -> Callable[[Report], str]:
        return lambda line: write(reduce(getitem, path.split("."), line))

    return [(head, column(path)) for head, path in heads.items()]


def _mean(figure: Figure) -> str:
    return "–" if figure is None else f"{figure['mean']:.2f}"


def _mean_and_std(figure: Figure) -> str:
    if figure is None or figure["std"] is None:
        return _mean(figure)
    return f"{figure['mean']:.2f} ± {figure['std']:.2f}"


def _interval(figure: Figure, signed: bool = False) -> str:
    if figure is None:
        return "–"
    low, high = figure["interval"]
    return with_interval(figure["mean"], low, high, signed)


_METHOD, _RANKED_BY = _columns(str, {"Method": "title", "Cells ranked by": "score"})
_MAIN_FIGURES: Final = {
    "Accuracy": "accuracy",
    "F1 Score": "f1_weighted",
    "AU ROC": "auroc",
    "Instance AU ROC": "attribution.attention.instance_auroc",
}
_TABLE_1: Final = (
    (_METHOD, *_columns(_mean_and_std, _MAIN_FIGURES)),
    "F1 is weighted by class size; AU ROC is the mean of each class against the rest. Instance "
    "AU ROC is that of the attention, see below; a random score reaches 0.5.",
)
_FURTHER: Final = (
    _TABLE_1[0],
    "The ensemble is the classifier for routine use: models of several seeds, calibrated on "
    "held-out training patients. Controls have nothing to learn from: they must perform at chance, "
    "or little above it if cells look odd whatever the labels are.",
)
_INTERVALS: Final = (
    (
        _METHOD,
        *_columns(_interval, {"Accuracy": "accuracy", "F1 (weighted)": "f1_weighted"}),
        *_columns(_interval, {"F1 (macro)": "f1_macro", "AU ROC": "auroc"}),
        *_columns("{:.2g}".format, {"s/epoch": "seconds_an_epoch"}),
        *_columns("{:.0f}".format, {"s in all": "seconds"}),
    ),
)
_PROBABILITIES: Final = (
    (
        _METHOD,
        *_columns(_interval, {"NLL": "nll", "Brier": "brier"}),
        *_columns(_mean_and_std, {"Calibration error": "ece"}),
    ),
    "NLL: mean negative log probability of the right class. Brier: squared error summed over "
    "classes, 0 to 2. Calibration error: mean distance between the predicted class's probability "
    "and how often it is right, in ten equal bins. Lower is better for all three.",
)
_CELLS_FOUND: Final = (
    {"AU ROC": "instance_auroc", "Average precision": "instance_ap", "NDCG@n": "instance_ndcg"},
    "How well a score ranks the altered cells within each sample that has cells of both kinds, "
    "averaged over samples; n is the sample's number of altered cells.",
)
_CELLS_REMOVED: Final = (
    {
        "Area between": "area_between",
        "Without the top 8": "necessity",
        "Only the top 8": "sufficiency",
    },
    "Probability of the predicted class, averaged over samples. Area between the curves of adding "
    "and of deleting the highest cells first, in steps of 5 %: 0 for chance, higher is better. "
    "Without the top 8: low if they are needed. Only the top 8: high if they suffice.",
)
_AGREEMENT: Final = (
    {"Spearman": "spearman", "Top 8 shared (Jaccard)": "top_8_overlap"},
    "How similarly the models of two runs rank the cells of a sample, averaged over samples and "
    "pairs of runs.",
)


def _differences(report: Report) -> Table:
    titles = {name: row["title"] for name, row in report["methods"].items()}
    columns = (
        *_columns(titles.__getitem__, {"Method": "reference", "less": "other"}),
        *_columns(partial(_interval, signed=True), {"Accuracy": "accuracy", "AU ROC": "auroc"}),
    )
    note = "Above 0 the first is better; an interval that contains 0 leaves it open."
    return _table("Paired differences", report["differences"], columns, note)


def _prediction_sets(rows: Sequence[Report], asked: float) -> Table:
    figures = {
        "NLL before": "certainty.nll_before",
        "NLL after": "certainty.nll_after",
        "Coverage": "certainty.coverage",
        "Classes a set": "certainty.set_size",
        "Abstained": "certainty.abstained",
        "Right if answered": "certainty.answered_accuracy",
    }
    return _table(
        "Calibration and prediction sets",
        [row for row in rows if row["certainty"] is not None],
        (_METHOD, *_columns(_interval, figures)),
        "Before and after: without and with the temperature and the offsets learnt from held-out "
        "training patients. A set contains the classes that cannot be ruled out and should contain "
        f"the right one {asked:.0%} of the time (coverage); with more than one class in it the "
        "ensemble abstains.",
    )


def _auprc(rows: Sequence[Report], classes: Mapping[str, str]) -> Table:
    def area(row: Report, name: str) -> str:
        return _mean_and_std(row["auprc"][name])

    columns = [(title, partial(area, name=name)) for name, title in classes.items()]
    note = "Average precision of each class against the rest."
    return _table("Area under the precision-recall curve", rows, (_METHOD, *columns), note)


def _cells_found_by_class(scores: Sequence[Report], classes: Mapping[str, str]) -> Table:
    def both(line: Report, name: str) -> str:
        by_class = line["by_class"]
        return " / ".join(_mean(by_class[key][name]) for key in ("instance_auroc", "instance_ap"))

    return _table(
        "Altered cells found, by class (AU ROC / average precision)",
        [line for line in scores if line["instance_auroc"] is not None],
        (
            _METHOD,
            _RANKED_BY,
            *((title, partial(both, name=name)) for name, title in classes.items()),
        ),
    )


def _stands_apart(rows: Sequence[Report], reference: str | None) -> Table:
    titles = {
        "effective_number": "effective number of cells",
        "effective_share": "effective number as a share of all",
        "top_contribution": "top contribution",
    }
    lines = [
        {"title": row["title"], "by": title, **row["stands_apart"][name]}
        for row in rows
        if row["stands_apart"] is not None
        for name, title in titles.items()
    ]
    columns = (
        _METHOD,
        *_columns(str, {"By": "by"}),
        *_columns(_interval, {"AU ROC": "auroc"}),
        *_columns(_mean, {f"Mean of {reference}": "reference", "Of others": "others"}),
    )
    return _table(
        "Healthy samples stand apart",
        lines,
        columns,
        "Effective number of cells: 1 / sum of squared attention. Top contribution: how strongly "
        "the strongest cell pulls away from the healthy class. AU ROC: how well a small number of "
        "cells, or a strong pull, tells other samples from healthy ones; a random score reaches "
        "0.5.",
    )
