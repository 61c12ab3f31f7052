"""The tables of an evaluation's report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import filterfalse
from operator import getitem
from typing import Any, Final

from napari_attmil.bags import TABLE_1
from napari_attmil.core import with_interval

Report = Mapping[str, Any]
Figure = Mapping[str, Any] | None
Column = tuple[str, Callable[[Report], str]]
"""The head, and what writes the text of a line."""


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes
    ----------
    title
        Its heading.
    head, lines
        Text of the columns' heads and of the cells.
    note
        How its figures are defined; Markdown and HTML alike, so without markup.
    """

    title: str
    head: list[str]
    lines: list[list[str]]
    note: str = ""


def tables(report: Report) -> list[Table]:
    """Return all tables of a report, that in the form of the paper's Table 1 first."""
    rows = list(report["methods"].values())
    scores = [
        {"title": row["title"], "score": score, **figures}
        for row in rows
        for score, figures in row["attribution"].items()
    ]
    classes = marked_classes(report)
    made = (
        *_short_tables(rows),
        _intervals(rows),
        _differences(report),
        _probabilities(rows),
        _prediction_sets(rows, report["ensemble"]["coverage"]),
        _auprc(rows, classes),
        _cells_found(scores),
        _cells_found_by_class(scores, classes),
        _cells_removed(scores),
        _agreement(scores),
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


def _column(head: str, write: Callable[[Any], str], *keys: str) -> Column:
    """Return a column of what lies under the keys of each line."""
    return head, lambda line: write(reduce(getitem, keys, line))


_METHOD: Final = _column("Method", str, "title")
_RANKED_BY: Final = _column("Cells ranked by", str, "score")


def _short_tables(rows: Sequence[Report]) -> list[Table]:
    columns = (
        _METHOD,
        _column("Accuracy", _mean_and_std, "accuracy"),
        _column("F1 Score", _mean_and_std, "f1_weighted"),
        _column("AU ROC", _mean_and_std, "auroc"),
        _column("Instance AU ROC", _mean_and_std, "attribution", "attention", "instance_auroc"),
    )
    return [
        _table(
            "In the form of the paper's Table 1",
            [*filter(_is_published, rows)],
            columns,
            "F1 is weighted by class size, AU ROC the mean of each class against the rest. "
            "Instance AU ROC is that of the attention, see below; random reaches 0.5.",
        ),
        _table(
            "Further methods, the ensemble and controls",
            [*filterfalse(_is_published, rows)],
            columns,
            "An ensemble is what people use: models of several seeds, calibrated on training "
            "patients that were held out. Controls have nothing to learn from: they must give "
            "chance, or little more where cells look odd whatever the labels say.",
        ),
    ]


def _is_published(row: Report) -> bool:
    return row["kind"] == "single" and row["method"] in TABLE_1


def _intervals(rows: Sequence[Report]) -> Table:
    columns = (
        _METHOD,
        _column("Accuracy", _interval, "accuracy"),
        _column("F1 (weighted)", _interval, "f1_weighted"),
        _column("F1 (macro)", _interval, "f1_macro"),
        _column("AU ROC", _interval, "auroc"),
        _column("s/epoch", "{:.2g}".format, "seconds_an_epoch"),
        _column("s in all", "{:.0f}".format, "seconds"),
    )
    return _table("95 % intervals", rows, columns)


def _differences(report: Report) -> Table:
    titles = {name: row["title"] for name, row in report["methods"].items()}
    difference = partial(_interval, signed=True)
    columns = (
        _column("Method", titles.__getitem__, "reference"),
        _column("less", titles.__getitem__, "other"),
        _column("Accuracy", difference, "accuracy"),
        _column("AU ROC", difference, "auroc"),
    )
    note = "Above 0 the first is better; an interval that holds 0 leaves it open."
    return _table("Paired differences", report["differences"], columns, note)


def _probabilities(rows: Sequence[Report]) -> Table:
    columns = (
        _METHOD,
        _column("NLL", _interval, "nll"),
        _column("Brier", _interval, "brier"),
        _column("Calibration error", _mean_and_std, "ece"),
    )
    return _table(
        "Probabilities",
        rows,
        columns,
        "NLL: mean negative log probability of the right class. Brier: squared error summed over "
        "classes, 0 to 2. Calibration error: mean distance of the predicted class's probability "
        "from how often it is right, in ten equal bins. For all three lower is better.",
    )


def _prediction_sets(rows: Sequence[Report], asked: float) -> Table:
    columns = (
        _METHOD,
        _column("NLL before", _interval, "certainty", "nll_before"),
        _column("NLL after", _interval, "certainty", "nll_after"),
        _column("Coverage", _interval, "certainty", "coverage"),
        _column("Classes a set", _interval, "certainty", "set_size"),
        _column("Abstained", _interval, "certainty", "abstained"),
        _column("Right if answered", _interval, "certainty", "answered_accuracy"),
    )
    return _table(
        "Calibration and prediction sets",
        [row for row in rows if row["certainty"] is not None],
        columns,
        "Before and after: without and with the temperature and the offsets learnt from held-out "
        "training patients. A set holds the classes that cannot be ruled out and is meant to hold "
        f"the right one {asked:.0%} of the time (coverage); with more than one class in it the "
        "ensemble abstains.",
    )


def _auprc(rows: Sequence[Report], classes: Mapping[str, str]) -> Table:
    of_classes = [_column(title, _mean_and_std, "auprc", name) for name, title in classes.items()]
    return _table(
        "Area under the precision-recall curve",
        rows,
        (_METHOD, *of_classes),
        "Average precision of each class against the rest.",
    )


def _score_table(
    title: str, scores: Sequence[Report], names: Mapping[str, str], note: str
) -> Table:
    """Return a table with a line for every row and score that has any of the figures.

    Parameters
    ----------
    names
        Of the figures, by the heads of their columns.
    """
    lines = [line for line in scores if any(line[name] is not None for name in names.values())]
    columns = [_column(head, _interval, name) for head, name in names.items()]
    return _table(title, lines, (_METHOD, _RANKED_BY, *columns), note)


def _cells_found(scores: Sequence[Report]) -> Table:
    return _score_table(
        "Altered cells found",
        scores,
        {
            "AU ROC": "instance_auroc",
            "Average precision": "instance_ap",
            "NDCG@n": "instance_ndcg",
        },
        "How a score ranks the cells known to be altered, within each sample that holds both "
        "kinds, then the mean over samples; n is the sample's number of altered cells.",
    )


def _cells_found_by_class(scores: Sequence[Report], classes: Mapping[str, str]) -> Table:
    def both(by_class: Report, name: str) -> str:
        return " / ".join(_mean(by_class[key][name]) for key in ("instance_auroc", "instance_ap"))

    return _table(
        "Altered cells found, by class (AU ROC / average precision)",
        [line for line in scores if line["instance_auroc"] is not None],
        (
            _METHOD,
            _RANKED_BY,
            *(
                _column(title, partial(both, name=name), "by_class")
                for name, title in classes.items()
            ),
        ),
    )


def _cells_removed(scores: Sequence[Report]) -> Table:
    return _score_table(
        "Predicted class without and with the highest cells",
        scores,
        {
            "Area between": "area_between",
            "Without the top 8": "necessity",
            "Only the top 8": "sufficiency",
        },
        "Probability of the predicted class, mean over samples. Area between the curves of adding "
        "and of deleting the highest cells first, in steps of 5 %: 0 for chance, higher is better. "
        "Without the top 8: low if they are needed. Only the top 8: high if they are enough.",
    )


def _agreement(scores: Sequence[Report]) -> Table:
    return _score_table(
        "Agreement between runs",
        scores,
        {"Spearman": "spearman", "Top 8 shared (Jaccard)": "top_8_overlap"},
        "How alike the models of two runs rank the cells of a sample; mean over samples and pairs "
        "of runs.",
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
        _column("By", str, "by"),
        _column("AU ROC", _interval, "auroc"),
        _column(f"Mean of {reference}", _mean, "reference"),
        _column("Of others", _mean, "others"),
    )
    return _table(
        "Healthy samples stand apart",
        lines,
        columns,
        "Effective number of cells: 1 / sum of squared attention. Top contribution: how far the "
        "single strongest cell pulls away from the healthy class. AU ROC with which the few "
        "cells, or the strong pull, of other samples are told from healthy ones; random reaches "
        "0.5.",
    )
