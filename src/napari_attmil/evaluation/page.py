"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.bags.attribution import CURVE_STEPS
from napari_attmil.evaluation.charts import Line, line_chart, style_classes
from napari_attmil.evaluation.tables import (
    HOW_FIGURES_ARE_MADE,
    cohort_sentence,
    marked,
    recipe,
    tables,
)
from napari_attmil.reports import document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_attmil.evaluation.tables import Table

    Report = Mapping[str, Any]


def page(report: Report) -> str:
    """Return a report as HTML: tables, curves, notes, and how to repeat it."""
    text = "".join(
        [
            "<h1>Cross-validation</h1>",
            f'<p class="caution">{escape(report["caution"])}</p>',
            f"<p>{escape(cohort_sentence(report))}</p>",
            *_sections(report),
            "<h2>How figures are made</h2>",
            _list(HOW_FIGURES_ARE_MADE),
            "<h2>Notes</h2>",
            _list(report["notes"]),
            "<h2>To repeat this</h2>",
            f"<pre>{escape(json.dumps(recipe(report), indent=1))}</pre>",
        ]
    )
    return document("Cross-validation", text)


def _sections(report: Report) -> list[str]:
    """Return the tables, the curves following those they belong to."""
    first, *others = tables(report)
    return [
        _table(first, report),
        *(_table(table, report) for table in others[:1]),
        "<h2>Precision and recall of each class</h2>",
        _precision_recall(report),
        "<h2>Reliability, confusions, and the cells that decide</h2>",
        *(_row_charts(report, name) for name in report["methods"]),
        *(_table(table, report) for table in others[1:]),
    ]


def _table(table: Table, report: Report) -> str:
    main = report["methods"][report["main"]]["title"]
    lines = "".join(
        f"<tr{_main_class(line[0] == main)}>{_cells('td', line)}</tr>" for line in table.lines
    )
    return (
        f'<h2>{escape(table.title)}</h2><div class="scroll"><table><thead>'
        f"<tr>{_cells('th', table.head)}</tr></thead><tbody>{lines}</tbody></table></div>"
        f'<p class="note">{escape(table.note)}</p>'
    )


def _main_class(is_main: bool) -> str:
    return ' class="main"' if is_main else ""


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _precision_recall(report: Report) -> str:
    """Return one chart a class with a line a row, as in the paper's Fig. 3."""
    rows = report["methods"].values()
    charts = [
        line_chart(
            marked(report, label),
            "recall",
            "precision",
            [
                Line(
                    f"{row['title']}: {row['auprc'][label]['mean']:.2f}",
                    report["recalls"],
                    row["precision_recall"][label],
                    style,
                )
                for style, row in enumerate(rows)
            ],
        )
        for label in report["cohort"]["classes"]
    ]
    legend = _legend([row["title"] for row in rows])
    return f"{legend}{_charts(charts)}" + (
        '<p class="note">Each class against the rest, mean precision over runs. Rest on a line to '
        "see its area.</p>"
    )


def _row_charts(report: Report, name: str) -> str:
    """Return what there is to draw of one row, open for the main one."""
    row = report["methods"][name]
    scores = {
        score: figures
        for score, figures in row["attribution"].items()
        if figures["deletion"] is not None
    }
    charts = [
        _reliability(row),
        _confusion(report, row),
        _curve_chart("Highest cells deleted first", "share of cells deleted", "deletion", scores),
        _curve_chart("Highest cells added first", "share of cells kept", "insertion", scores),
    ]
    is_open = " open" if name == report["main"] else ""
    return (
        f"<details{is_open}><summary>{escape(row['title'])}</summary>"
        f"{_legend(list(scores))}{_charts(charts)}</details>"
    )


def _reliability(row: Report) -> str:
    bins = row["reliability"]
    line = Line("all runs", bins["confidence"], bins["accuracy"], 0, dots=True)
    return line_chart(
        "Reliability", "probability of the predicted class", "share right", [line], diagonal=True
    )


def _curve_chart(title: str, x_label: str, curve: str, scores: Mapping[str, Any]) -> str:
    steps = np.linspace(0, 1, CURVE_STEPS + 1).tolist()
    lines = [
        Line(score, steps, figures[curve], style)
        for style, (score, figures) in enumerate(scores.items())
    ]
    return line_chart(title, x_label, "probability", lines)


def _confusion(report: Report, row: Report) -> str:
    """Return the confusion matrix, shaded by the share of each true class."""
    classes = [marked(report, name) for name in report["cohort"]["classes"]]
    lines = []
    for label, counts in zip(classes, row["confusion"], strict=True):
        total = sum(counts)
        cells = "".join(
            f'<td style="--share:{count / total:.2f}">{count:g}</td>'
            for count in (round(count, 1) for count in counts)
        )
        lines.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    return (
        '<p class="caption">Samples of each class (lines) by the class they were taken for '
        '(columns), mean over runs</p><div class="scroll"><table class="confusion">'
        f"<tr><th></th>{_cells('th', classes)}</tr>{''.join(lines)}</table></div>"
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 26 10"><path class="line {style_classes(style)}" d="M0 5H26"/>'
        f"</svg>{escape(name)}</li>"
        for style, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _charts(charts: Sequence[str]) -> str:
    return f'<div class="charts">{"".join(f"<div>{chart}</div>" for chart in charts)}</div>'


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"
