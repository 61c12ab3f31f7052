"""A report as a PDF file of A4 pages whose text can be searched."""

from __future__ import annotations

from collections.abc import (
    Iterable,
    Iterator,  # `singledispatch` reads the annotations
)
from functools import singledispatch
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    HRFlowable,
    Image,
    KeepTogether,
    Paragraph as Text,
    Preformatted,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from napari_attmil.reports.blocks import (
    Block,
    CellPictures,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Pictures,
    TextTable,
)
from napari_attmil.reports.palette import LIGHT

MARGIN: Final = 18 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
CELLS_PER_ROW: Final = 4
CELL_SIDE: Final = 32 * mm
TALLEST: Final = 190 * mm
"""Maximum height of a picture, so that its caption fits on the same page."""
CHARACTERS_PER_LINE: Final = 104
_INK, _FAINT, _RULE, _WARN = (HexColor(LIGHT[name]) for name in ("ink", "faint", "rule", "warn"))
_TOP: Final = ("VALIGN", (0, 0), (-1, -1), "TOP")
_FONT: Final = "DejaVuSans"


def pdf_file(title: str, blocks: Iterable[Block]) -> bytes:
    """Return a report as the content of a PDF file."""
    _register_fonts()
    file = BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), MARGIN)
    document = SimpleDocTemplate(file, pagesize=A4, title=title, author="napari-attmil", **margins)
    flow = [part for block in blocks for part in _flow(block)]
    document.build(flow, onFirstPage=_number_page, onLaterPages=_number_page)
    return file.getvalue()


@singledispatch
def _flow(block: object) -> Iterator[Any]:
    raise TypeError(f"{type(block).__name__} is no block of a report")


@_flow.register
def _(block: Heading) -> Iterator[Any]:
    size = {1: 20, 2: 15, 3: 12.5, 4: 10.5}[block.level]
    style = _style(size, bold=True, before=size * 0.8, keepWithNext=1)
    yield Text(escape(block.text), style)


@_flow.register
def _(block: Paragraph) -> Iterator[Any]:
    colour = {"plain": _INK, "caution": _WARN, "note": _FAINT}[block.kind]
    yield Text(escape(block.text), _style(9, colour, bold=block.kind == "caution"))


@_flow.register
def _(block: TextTable) -> Iterator[Any]:
    head, body = _style(8, bold=True), _style(8)
    rows = [[Text(escape(text), head) for text in block.head]]
    rows += [[Text(escape(text), body) for text in line] for line in block.lines]
    table = Table(rows, colWidths=_column_widths(block), repeatRows=1, hAlign="LEFT")
    table.setStyle([_TOP, ("LINEBELOW", (0, 0), (-1, -1), 0.5, _RULE)])
    yield table
    yield Spacer(1, 2 * mm)


@_flow.register
def _(block: Pictures) -> Iterator[Any]:
    for picture in block.pictures:
        width, height = picture.size_px
        shrink = min(WIDTH / width, TALLEST / height)
        yield KeepTogether(_captioned(picture, width * shrink, height * shrink))
        yield Spacer(1, 3 * mm)


@_flow.register
def _(block: CellPictures) -> Iterator[Any]:
    length = CELL_SIDE * block.scale.bar / block.scale.side
    bar = HRFlowable(length, 1.5, color=_INK, hAlign="LEFT", spaceBefore=6)
    bar.keepWithNext = 1
    yield bar
    yield Text(escape(block.scale.note), _style(8, _FAINT, keepWithNext=1))
    cells = [_captioned(picture, CELL_SIDE, CELL_SIDE) for picture in block.pictures]
    cells += [[]] * (-len(cells) % CELLS_PER_ROW)
    rows = [cells[at : at + CELLS_PER_ROW] for at in range(0, len(cells), CELLS_PER_ROW)]
    if rows:
        yield Table(rows, colWidths=WIDTH / CELLS_PER_ROW, style=[_TOP])


@_flow.register
def _(block: Listing) -> Iterator[Any]:
    yield Text(escape(block.title), _style(10.5, bold=True, before=6, keepWithNext=1))
    yield Preformatted(block.text, _style(6.5, spaceAfter=0), maxLineLength=CHARACTERS_PER_LINE)


def _captioned(picture: Picture, width: float, height: float) -> list[Any]:
    image = Image(BytesIO(picture.data), width, height, hAlign="LEFT")
    return [image, Text(escape(picture.caption), _style(6.5, _FAINT, splitLongWords=1))]


def _column_widths(table: TextTable) -> list[float]:
    """Return widths in proportion to the longest texts; long ones are wrapped."""
    columns = zip(table.head, *table.lines, strict=True)
    natural = [5.2 * (min(max(map(len, texts)), 40) + 3) for texts in columns]
    shrink = min(1.0, WIDTH / sum(natural))
    return [width * shrink for width in natural]


def _style(
    size: float, colour: Any = _INK, bold: bool = False, before: float = 0, **more: Any
) -> ParagraphStyle:
    return ParagraphStyle(
        "text",
        fontName=f"{_FONT}-Bold" if bold else _FONT,
        fontSize=size,
        leading=size * 1.35,
        textColor=colour,
        spaceBefore=before,
        **{"spaceAfter": 3, **more},
    )


def _number_page(canvas: Any, document: Any) -> None:
    canvas.setFont(_FONT, 7)
    canvas.setFillColor(_FAINT)
    canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"{document.title}, page {document.page}")


def _register_fonts() -> None:
    """Register matplotlib's fonts, as the built-in fonts of PDF lack many letters."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (_FONT, f"{_FONT}-Bold"):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
