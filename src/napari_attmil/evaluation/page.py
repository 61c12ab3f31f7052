"""The report of an evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.bags.attribution.measures import CURVE_STEPS
from napari_attmil.evaluation.charts import Line, line_chart, style_classes
from napari_attmil.evaluation.tables import (
    HOW_FIGURES_ARE_MADE,
    cohort_sentence,
    marked,
    recipe,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_attmil.evaluation.tables import Table

    Report = Mapping[str, Any]

# The Okabe-Ito palette, which colour-blind readers tell apart; its yellow and black are changed to
# what can be seen on both grounds.
STYLE: Final = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2430; --faint: #5d6975;
  --rule: #d9dee4; --panel: #f5f7f9; --warn: #9a4a00;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0548a; --c4: #b08600; --c5: #3a8fc4;
  --c6: #6b6b6b; --c7: #7a3fbf; }
@media (prefers-color-scheme: dark) { :root { --ground: #14191f; --ink: #e4e9ee;
  --faint: #9aa7b4; --rule: #323c47; --panel: #1c232b; --warn: #ffb066;
  --c0: #4da3e0; --c1: #ff8a3d; --c2: #2fcf9d; --c3: #e08fbd; --c4: #e6c229; --c5: #8fd0f5;
  --c6: #b5b5b5; --c7: #b48cf0; } }
body { background: var(--ground); color: var(--ink); margin: 0 auto; max-width: 1120px;
  padding: 24px; font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 4px; } h2 { margin: 36px 0 8px; font-size: 19px; }
.caution { color: var(--warn); font-weight: 600; }
.note { color: var(--faint); max-width: 75ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 14px 5px 0; text-align: left; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
thead th { font-weight: 600; white-space: normal; }
tr.main td { font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 16px; }
.charts > * { background: var(--panel); border-radius: 8px; padding: 8px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--faint); font-size: 11px; } svg .title { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--rule); fill: none; }
.line { fill: none; stroke-width: 2; stroke: currentColor; } .dot { fill: currentColor; }
.line.dashed { stroke-dasharray: 5 4; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
.c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.c6 { color: var(--c6); } .c7 { color: var(--c7); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; }
.legend svg { display: inline-block; width: 26px; height: 10px; margin-right: 6px; }
.confusion { margin: 4px auto; } .confusion td, .confusion th { padding: 5px 8px; border: 0; }
.confusion td { text-align: right;
  background: color-mix(in srgb, var(--c0) calc(var(--share) * 70%), transparent); }
.caption { margin: 2px 8px 8px; font-size: 13px; text-align: center; }
pre { background: var(--panel); padding: 12px; border-radius: 8px; overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; margin: 12px 0; }
"""


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


def document(title: str, body: str, more_style: str = "") -> str:
    """Return an HTML page of the house's style that needs no other file.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML.
    more_style
        CSS of this page alone.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{more_style}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


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
