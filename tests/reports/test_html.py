from __future__ import annotations

from typing import cast

import pytest
from jinja2 import UndefinedError
from PIL import Image

from napari_attmil.reports.blocks import (
    Block,
    CellPictures,
    Heading,
    Listing,
    Paragraph,
    Pictures,
    TextTable,
    encoded,
)
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.reports.html import html_page

HOSTILE = "\"><script>alert('a & b')</script>"
ESCAPED = "&#34;&gt;&lt;script&gt;alert(&#39;a &amp; b&#39;)&lt;/script&gt;"
PICTURE = encoded(Image.new("RGB", (4, 3)), "PNG", HOSTILE)


@pytest.mark.parametrize(
    ("block", "texts"),
    [
        (Heading(HOSTILE, 1), 1),
        (Paragraph(HOSTILE, "caution"), 1),
        (TextTable((HOSTILE, "b"), ((HOSTILE, HOSTILE),)), 3),
        (Pictures((PICTURE,)), 1),
        (CellPictures((PICTURE, PICTURE), GalleryScale(64, HOSTILE)), 4),
        (Listing(HOSTILE, HOSTILE), 2),
    ],
)
def test_texts_of_every_block_are_escaped(block: Block, texts: int) -> None:
    page = html_page(HOSTILE, [block])
    assert "<script" not in page and page.count(ESCAPED) == texts + 1  # and the title


def test_bar_is_as_long_as_its_text_says() -> None:
    page = html_page("Title", [CellPictures((), GalleryScale(64, "px"))])
    assert "20 px; every picture shows 64 px" in page
    assert '<span class="bar" style="width:40.0px">' in page  # of 128


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(UndefinedError, match="'str'"):
        html_page("Title", [cast("Block", "text")])
