"""A report as one HTML page that needs no other file."""

from __future__ import annotations

from base64 import b64encode
from functools import singledispatch
from html import escape
from typing import TYPE_CHECKING, Final

from napari_attmil.reports.blocks import (
    Block,
    CellPictures,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Pictures,
    TextTable,
    scale_note,
)
from napari_attmil.reports.house_page import document
from napari_attmil.reports.pictures import THUMBNAIL_PX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLE: Final = """
figure { margin: 0; } figcaption { font-size: 12px; color: var(--faint); overflow-wrap: anywhere; }
.pictures img { max-width: 100%; display: block; border-radius: 6px; }
.pictures figure { margin: 12px 0; }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 14px; }
.cells img { width: 128px; display: block; border-radius: 4px; }
.bar { display: block; height: 3px; background: var(--ink); margin: 10px 0 2px; }
"""


def html_page(title: str, blocks: Iterable[Block]) -> str:
    """Return a report as HTML; its pictures stand within the page."""
    return document(title, "".join(map(_html, blocks)), _STYLE)


@singledispatch
def _html(block: object) -> str:
    raise TypeError(f"{type(block).__name__} is no block of a report")


@_html.register
def _(block: Heading) -> str:
    return f"<h{block.level}>{escape(block.text)}</h{block.level}>"


@_html.register
def _(block: Paragraph) -> str:
    kind = "" if block.kind == "plain" else f' class="{block.kind}"'
    return f"<p{kind}>{escape(block.text)}</p>"


@_html.register
def _(block: TextTable) -> str:
    body = "".join(f"<tr>{_cells('td', line)}</tr>" for line in block.lines)
    return (
        f'<div class="scroll"><table><thead><tr>{_cells("th", block.head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


@_html.register
def _(block: Pictures) -> str:
    return f'<div class="pictures">{"".join(map(_figure, block.pictures))}</div>'


@_html.register
def _(block: CellPictures) -> str:
    width = THUMBNAIL_PX * block.scale.bar / block.scale.side
    return (
        f'<span class="bar" style="width:{width:.1f}px"></span>'
        f'<p class="note">{escape(scale_note(block.scale))}</p>'
        f'<div class="cells">{"".join(map(_figure, block.pictures))}</div>'
    )


@_html.register
def _(block: Listing) -> str:
    title, text = escape(block.title), escape(block.text)
    return f"<details><summary>{title}</summary><pre>{text}</pre></details>"


def _figure(picture: Picture) -> str:
    uri = f"data:image/{picture.file_format.lower()};base64,{b64encode(picture.data).decode()}"
    caption = escape(picture.caption)
    image = f'<img src="{uri}" alt="" width="{picture.size_px[0]}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
