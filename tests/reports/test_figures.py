from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from napari_attmil.reports.figures import hint_id, inline_svg, plain_axes
from napari_attmil.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOSTILE = "</title><script>alert('a & b')</script>"


def drawing(figure: Figure, ink: str) -> None:
    axes = plain_axes(figure, ink)
    axes.set_xlabel("a < b")
    axes.plot((0, 1), (0, 1), "o-", color=LIGHT["c1"], gid=hint_id(HOSTILE))


def test_figure_in_a_page_is_text_in_the_page_s_colours() -> None:
    svg = ElementTree.fromstring(inline_svg(drawing, (300, 200), "Title <1>"))
    assert svg.tag == "svg" and svg.get("aria-label") == "Title <1>"
    (label,) = (text for text in svg.iter("text") if text.text == "a < b")
    assert "fill: var(--ink)" in label.get("style", "")
    (line,) = (group for group in svg.iter("g") if group.find("title") is not None)
    assert "stroke: var(--c1)" in line.findall("path")[0].get("style", "")


def test_hint_of_a_line_is_escaped() -> None:
    text = inline_svg(drawing, (300, 200), HOSTILE)
    assert "<script" not in text
    assert [title.text for title in ElementTree.fromstring(text).iter("title")] == [HOSTILE]


def test_figure_in_a_page_is_the_same_each_time_and_refers_to_nothing_outside() -> None:
    first, second = (inline_svg(drawing, (300, 200), "Title") for _ in range(2))
    assert first == second
    assert "http" not in first and "@font-face" not in first and "metadata" not in first
    referred = {*re.findall(r'href="#(\w+)"', first), *re.findall(r"url\(#(\w+)\)", first)}
    assert referred and referred == {*re.findall(r'id="(\w+)"', first)}
