"""The tables of an evaluation's report, and the report as Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.bags import TABLE_1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Report = Mapping[str, Any]
    Figure = Mapping[str, Any] | None
    Lines = list[list[str]]

HOW_FIGURES_ARE_MADE: Final = (
    "Every figure is computed over all samples of a run, each classified by a model that never saw "
    "its patient, then averaged over runs; ± is the standard deviation over runs. Folds are "
    "stratified by class and never part a patient; all rows meet the same folds and seeds.",
    "Intervals: bootstrap over patients within classes, 2.5th to 97.5th percentile. Differences "
    "are paired: the same runs, and the same patients drawn.",
    "Trainings stop early, if at all, by their training loss; calibration and prediction sets "
    "come from inner folds of the training patients. No test fold is looked at.",
)


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
    lines: Lines
    note: str = ""


def tables(report: Report) -> list[Table]:
    """Return all tables of a report, that in the form of the paper's Table 1 first."""
    makers: Sequence[Callable[[Report], Table]] = (
        _table_1,
        _variants,
        _intervals,
        _differences,
        _probabilities,
        _prediction_sets,
        _auprc,
        _cells_found,
        _cells_found_by_class,
        _cells_removed,
        _agreement,
        _stands_apart,
    )
    return [table for table in (make(report) for make in makers) if table.lines]


def markdown(report: Report) -> str:
    """Return a report as Markdown: all tables, how to repeat it, and notes."""
    parts = ["# Cross-validation", report["caution"], cohort_sentence(report)]
    for table in tables(report):
        parts += [f"## {table.title}", "\n".join(_markdown_table(table)), table.note]
    parts += [
        "## How figures are made",
        _bullets(HOW_FIGURES_ARE_MADE),
        "## Notes",
        _bullets(report["notes"]),
        "## To repeat this",
        "\n".join(["```json", json.dumps(recipe(report), indent=1), "```"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def cohort_sentence(report: Report) -> str:
    """Return who was classified, and how the cohort was split."""
    cohort, plan = report["cohort"], report["evaluation"]
    classes = ", ".join(
        f"{marked(report, name)} ({size['patients']} patients, {size['samples']} samples)"
        for name, size in cohort["classes"].items()
    )
    return (
        f"{cohort['patients']} patients, {cohort['samples']} samples, {cohort['cells']} cells; "
        f"{plan['folds']} folds by patient, runs: {plan['runs']}. Classes: {classes}."
    )


def recipe(report: Report) -> dict[str, Any]:
    """Return what is needed to run the evaluation again."""
    names = ("created", "made_with", "evaluation", "settings", "ensemble", "features")
    return {name: report[name] for name in names}


def marked(report: Report, name: str) -> str:
    """Return the name of a class, with a dagger where its figures rest on few patients."""
    return f"{name} †" if report["cohort"]["classes"][name]["few"] else name


def _table_1(report: Report) -> Table:
    rows = _rows(report, lambda row: row["kind"] == "single" and row["method"] in TABLE_1)
    return Table(
        "In the form of the paper's Table 1",
        _SHORT_HEAD,
        _short_lines(rows),
        "F1 is weighted by class size, AU ROC the mean of each class against the rest. Instance AU "
        "ROC is that of the attention, see below; random reaches 0.5.",
    )


def _variants(report: Report) -> Table:
    rows = _rows(report, lambda row: row["kind"] != "single" or row["method"] not in TABLE_1)
    return Table(
        "Further methods, the ensemble and controls",
        _SHORT_HEAD,
        _short_lines(rows),
        "An ensemble is what people use: models of several seeds, calibrated on training patients "
        "that were held out. Controls have nothing to learn from: they must give chance, or little "
        "more where cells look odd whatever the labels say.",
    )


_SHORT_HEAD: Final = ["Method", "Accuracy", "F1 Score", "AU ROC", "Instance AU ROC"]


def _short_lines(rows: Iterable[Report]) -> Lines:
    names = ("accuracy", "f1_weighted", "auroc")
    return [
        [
            row["title"],
            *(_mean_and_std(row[name]) for name in names),
            _mean_and_std(row["attribution"]["attention"]["instance_auroc"]),
        ]
        for row in rows
    ]


def _intervals(report: Report) -> Table:
    names = ("accuracy", "f1_weighted", "f1_macro", "auroc")
    return Table(
        "95 % intervals",
        ["Method", "Accuracy", "F1 (weighted)", "F1 (macro)", "AU ROC", "s/epoch", "s in all"],
        [
            [
                row["title"],
                *(_interval(row[name]) for name in names),
                f"{row['seconds_an_epoch']:.2g}",
                f"{row['seconds']:.0f}",
            ]
            for row in _rows(report)
        ],
    )


def _differences(report: Report) -> Table:
    titles = {name: row["title"] for name, row in report["methods"].items()}
    return Table(
        "Paired differences",
        ["Method", "less", "Accuracy", "AU ROC"],
        [
            [
                titles[pair["reference"]],
                titles[pair["other"]],
                *(_interval(pair[name], signed=True) for name in ("accuracy", "auroc")),
            ]
            for pair in report["differences"]
        ],
        "Above 0 the first is better; an interval that holds 0 leaves it open.",
    )


def _probabilities(report: Report) -> Table:
    return Table(
        "Probabilities",
        ["Method", "NLL", "Brier", "Calibration error"],
        [
            [
                row["title"],
                _interval(row["nll"]),
                _interval(row["brier"]),
                _mean_and_std(row["ece"]),
            ]
            for row in _rows(report)
        ],
        "NLL: mean negative log probability of the right class. Brier: squared error summed over "
        "classes, 0 to 2. Calibration error: mean distance of the predicted class's probability "
        "from how often it is right, in ten equal bins. For all three lower is better.",
    )


def _prediction_sets(report: Report) -> Table:
    rows = _rows(report, lambda row: row["certainty"] is not None)
    names = ("nll_before", "nll_after", "coverage", "set_size", "abstained", "answered_accuracy")
    head = [
        "NLL before",
        "NLL after",
        "Coverage",
        "Classes a set",
        "Abstained",
        "Right if answered",
    ]
    asked = report["ensemble"]["coverage"]
    return Table(
        "Calibration and prediction sets",
        ["Method", *head],
        [[row["title"], *(_interval(row["certainty"][name]) for name in names)] for row in rows],
        "Before and after: without and with the temperature and the offsets learnt from held-out "
        "training patients. A set holds the classes that cannot be ruled out and is meant to hold "
        f"the right one {asked:.0%} of the time (coverage); with more than one class in it the "
        "ensemble abstains.",
    )


def _auprc(report: Report) -> Table:
    classes = list(report["cohort"]["classes"])
    return Table(
        "Area under the precision-recall curve",
        ["Method", *(marked(report, name) for name in classes)],
        [
            [row["title"], *(_mean_and_std(row["auprc"][name]) for name in classes)]
            for row in _rows(report)
        ],
        "Average precision of each class against the rest.",
    )


def _cells_found(report: Report) -> Table:
    names = ("instance_auroc", "instance_ap", "instance_ndcg")
    return Table(
        "Altered cells found",
        ["Method", "Cells ranked by", "AU ROC", "Average precision", "NDCG@n"],
        _score_lines(report, names),
        "How a score ranks the cells known to be altered, within each sample that holds both "
        "kinds, then the mean over samples; n is the sample's number of altered cells.",
    )


def _cells_found_by_class(report: Report) -> Table:
    classes = list(report["cohort"]["classes"])
    lines = [
        [
            row["title"],
            score,
            *(
                " / ".join(
                    _mean(figures["by_class"][name][label])
                    for name in ("instance_auroc", "instance_ap")
                )
                for label in classes
            ),
        ]
        for row, score, figures in _scores(report)
        if figures["instance_auroc"] is not None
    ]
    return Table(
        "Altered cells found, by class (AU ROC / average precision)",
        ["Method", "Cells ranked by", *(marked(report, name) for name in classes)],
        lines,
    )


def _cells_removed(report: Report) -> Table:
    return Table(
        "Predicted class without and with the highest cells",
        ["Method", "Cells ranked by", "Area between", "Without the top 8", "Only the top 8"],
        _score_lines(report, ("area_between", "necessity", "sufficiency")),
        "Probability of the predicted class, mean over samples. Area between the curves of adding "
        "and of deleting the highest cells first, in steps of 5 %: 0 for chance, higher is better. "
        "Without the top 8: low if they are needed. Only the top 8: high if they are enough.",
    )


def _agreement(report: Report) -> Table:
    return Table(
        "Agreement between runs",
        ["Method", "Cells ranked by", "Spearman", "Top 8 shared (Jaccard)"],
        _score_lines(report, ("spearman", "top_8_overlap")),
        "How alike the models of two runs rank the cells of a sample; mean over samples and pairs "
        "of runs.",
    )


def _stands_apart(report: Report) -> Table:
    rows = _rows(report, lambda row: row["stands_apart"] is not None)
    titles = {
        "effective_number": "effective number of cells",
        "effective_share": "effective number as a share of all",
        "top_contribution": "top contribution",
    }
    return Table(
        "Healthy samples stand apart",
        ["Method", "By", "AU ROC", f"Mean of {report['cohort']['reference_class']}", "Of others"],
        [
            [
                row["title"],
                title,
                _interval(row["stands_apart"][name]["auroc"]),
                _mean(row["stands_apart"][name]["reference"]),
                _mean(row["stands_apart"][name]["others"]),
            ]
            for row in rows
            for name, title in titles.items()
        ],
        "Effective number of cells: 1 / sum of squared attention. Top contribution: how far the "
        "single strongest cell pulls away from the healthy class. AU ROC with which the few "
        "cells, or the strong pull, of other samples are told from healthy ones; random reaches "
        "0.5.",
    )


def _rows(report: Report, wanted: Callable[[Report], bool] = lambda row: True) -> list[Report]:
    return [row for row in report["methods"].values() if wanted(row)]


def _scores(report: Report) -> list[tuple[Report, str, Report]]:
    return [
        (row, score, figures)
        for row in _rows(report)
        for score, figures in row["attribution"].items()
    ]


def _score_lines(report: Report, names: Sequence[str]) -> Lines:
    """Return a line for every row and score that has any of the figures."""
    return [
        [row["title"], score, *(_interval(figures[name]) for name in names)]
        for row, score, figures in _scores(report)
        if any(figures[name] is not None for name in names)
    ]


def _markdown_table(table: Table) -> list[str]:
    lines = [table.head, ["---"] * len(table.head), *table.lines]
    # A class is called what its folder is called, and that may hold the table's own sign.
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _mean(figure: Figure) -> str:
    return "–" if figure is None else f"{figure['mean']:.2f}"


def _mean_and_std(figure: Figure) -> str:
    if figure is None or figure["std"] is None:
        return _mean(figure)
    return f"{figure['mean']:.2f} ± {figure['std']:.2f}"


def _interval(figure: Figure, signed: bool = False) -> str:
    if figure is None:
        return "–"
    sign = "+" if signed else ""
    low, high = figure["interval"]
    return f"{figure['mean']:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"
