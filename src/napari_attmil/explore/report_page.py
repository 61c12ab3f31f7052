"""What a classifier said of samples as one HTML page, each figure traceable to its pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil import __version__
from napari_attmil.bags.evaluation_page import document
from napari_attmil.explore.cell_table import cell_table
from napari_attmil.explore.colours import attention_colours
from napari_attmil.explore.gallery_scale import gallery_scale
from napari_attmil.explore.report import classification_report, in_words, top_cells
from napari_attmil.explore.report_pictures import boxed_picture, data_uri, thumbnail
from napari_attmil.images.reading import frame_digest, read_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from napari_attmil.bags.classifier import Prediction
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.explore.gallery_scale import GalleryScale
    from napari_attmil.images.cohort import Sample

PICTURES: Final = 3
"""Images shown of a sample: those with the most attention."""

_STYLE: Final = """
figure { margin: 0; } figcaption { font-size: 12px; color: var(--faint); overflow-wrap: anywhere; }
.pictures img { width: 100%; display: block; border-radius: 6px; }
.pictures figure { margin: 12px 0; }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 14px; }
.cells img { width: 128px; display: block; border-radius: 4px; }
.bar { display: block; height: 3px; background: var(--ink); margin: 10px 0 2px; }
"""


@dataclass(frozen=True, eq=False)
class Finding:
    """A classified sample; its images are read when its part of the page is written.

    Attributes
    ----------
    sample
        Where the images come from.
    boxes
        Its cells.
    prediction
        What the classifier said about them.
    """

    sample: Sample
    boxes: Boxes
    prediction: Prediction


@dataclass(frozen=True)
class PageProgress:
    """How far a page has come.

    Attributes
    ----------
    done, total
        Samples.
    page
        The page as HTML, once it is finished.
    """

    done: int
    total: int
    page: str = ""


def report_page(findings: Sequence[Finding], model: Mapping[str, Any]) -> Iterator[PageProgress]:
    """Write one self-contained page about samples.

    Parameters
    ----------
    findings
        The samples, in the order of the page.
    model
        Where the classifier comes from; see `napari_attmil.explore.report.model_origin`.

    Yields
    ------
    PageProgress
        After each sample; the last one holds the page.

    Raises
    ------
    UserError
        If an image can no longer be read.
    """
    report = classification_report([finding.prediction for finding in findings], model)
    parts = [
        "<h1>What the classifier saw</h1>",
        f'<p class="caution">{escape(report["caution"])}</p>',
        _overview(findings),
    ]
    for done, finding in enumerate(findings, start=1):
        parts.append(_sample(finding))
        if done < len(findings):
            yield PageProgress(done, len(findings))
    parts.append(_origin(report))
    page = document("What the classifier saw", "".join(parts), _STYLE)
    yield PageProgress(len(findings), len(findings), page)


def _overview(findings: Sequence[Finding]) -> str:
    """Return a table with one line a sample."""
    lines = [
        (
            finding.sample.name,
            finding.prediction.predicted,
            f"{finding.prediction.probabilities.max():.0%}",
            in_words(finding.prediction),
            f"{len(finding.boxes)} in {len(finding.sample)} images",
        )
        for finding in findings
    ]
    notes = dict.fromkeys(f.prediction.note for f in findings if f.prediction.note)
    return _table(("Sample", "Most probable", "Probability", "Certainty", "Cells"), lines) + (
        "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    )


def _sample(finding: Finding) -> str:
    prediction = finding.prediction
    boxes = finding.boxes.sorted_by_image()
    table = cell_table(finding.sample, boxes, prediction)
    return (
        f"<h2>{escape(finding.sample.name)}</h2>{_probabilities(prediction)}"
        f"<p>The attention rests on {prediction.effective_cells:.1f} of {len(boxes)} cells "
        "(one over the sum of its squares). Boxes are coloured by the rank of their attention "
        "in the sample, from dark blue, the lowest, to white, the highest; orange boxes are newer "
        f"than the classification. Digest of the boxes: {boxes.digest()}</p>"
        f"{_pictures(finding.sample, boxes, table)}{_top_cells(finding, boxes, table)}"
    )


def _probabilities(prediction: Prediction) -> str:
    """Return a table with one line a class, the most probable first."""
    alone = prediction.member_probabilities
    lines = []
    for k in np.argsort(-prediction.probabilities, kind="stable"):
        spread = f"{alone[:, k].min():.0%} to {alone[:, k].max():.0%}" if len(alone) > 1 else ""
        kept = prediction.prediction_set
        possible = "" if kept is None else ("yes" if prediction.classes[k] in kept else "no")
        share = f"{prediction.probabilities[k]:.1%}"
        lines.append((prediction.classes[k], share, spread, possible))
    head = ("Class", "Probability", "Single models", "Cannot be ruled out")
    coverage = prediction.coverage
    note = "" if coverage is None else f'<p class="note">At {coverage:.0%} coverage.</p>'
    return _table(head, lines) + note


def _pictures(sample: Sample, boxes: Boxes, table: pd.DataFrame) -> str:
    """Return the images that hold the most attention."""
    attention = np.nan_to_num(table["attention"].to_numpy(np.float64))
    held = np.bincount(boxes.image_index, attention, minlength=len(sample))
    colours = attention_colours(table["attention"])
    order = np.argsort(attention, kind="stable")  # the highest are drawn last
    figures = []
    for index in np.argsort(-held, kind="stable")[:PICTURES]:
        frame = sample.frames[index]
        rows = order[boxes.image_index[order] == index]
        picture = boxed_picture(read_frame(frame), boxes.xyxy[rows], colours[rows])
        caption = (
            f"{frame.path}, frame {frame.page}: {len(rows)} cells with {held[index]:.0%} of the "
            f"attention. Digest of the image: {frame_digest(frame)}"
        )
        figures.append(_figure(data_uri(picture, "JPEG"), caption))
    hidden = len(sample) - len(figures)
    more = f'<p class="note">{hidden} more images are not shown.</p>' if hidden else ""
    return f'<div class="pictures">{"".join(figures)}</div>{more}'


def _top_cells(finding: Finding, boxes: Boxes, table: pd.DataFrame) -> str:
    """Return the cells with the highest attention, all at one scale."""
    known = np.flatnonzero(table["attention"].notna())
    rows = known[top_cells(table["attention"].to_numpy(np.float64)[known])]
    scale = gallery_scale(
        table.iloc[rows].assign(sample=finding.sample.name), (finding.sample,), margin=1.5
    )
    figures = []
    for row in rows:
        frame = finding.sample.frames[boxes.image_index[row]]
        cell = thumbnail(read_frame(frame), boxes.xyxy[row], scale.side_px(finding.sample.name))
        about = _about_cell(table.iloc[row], finding.prediction.predicted)
        figures.append(_figure(data_uri(cell, "PNG"), about))
    return (
        f"<h3>The {len(rows)} cells with the highest attention</h3>"
        f'{_bar(scale)}<div class="cells">{"".join(figures)}</div>'
    )


def _about_cell(cell: pd.Series[Any], predicted: str) -> str:
    corners = ", ".join(f"{cell[name]:g}" for name in ("x_min", "y_min", "x_max", "y_max"))
    return (
        f"Cell {cell['cell_id']}: attention {cell['attention']:.4f}, contribution to {predicted} "
        f"{cell[f'contribution_{predicted}']:+.3f}. {cell['image']}, frame {cell['frame']}, "
        f"box {corners} px"
    )


def _bar(scale: GalleryScale) -> str:
    width = 128 * scale.bar / scale.side
    text = f"{scale.bar_text}; every picture shows {scale.side:g} {scale.unit}"
    return (
        f'<span class="bar" style="width:{width:.1f}px"></span><p class="note">{escape(text)}</p>'
    )


def _origin(report: Mapping[str, Any]) -> str:
    """Return all that is needed to come to the same page again."""
    made = {"napari-attmil": __version__, "model": report["model"]}
    text = json.dumps(made, indent=1, default=str)
    return (
        f"<h2>Where this comes from</h2><pre>{escape(text)}</pre>"
        "<details><summary>All figures as JSON</summary>"
        f"<pre>{escape(json.dumps(report['samples'], indent=1))}</pre></details>"
    )


def _figure(uri: str, caption: str) -> str:
    return f'<figure><img src="{uri}" alt=""><figcaption>{escape(caption)}</figcaption></figure>'


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{_cells('td', line)}</tr>" for line in lines)
    return (
        f'<div class="scroll"><table><thead><tr>{_cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
