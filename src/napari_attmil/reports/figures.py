"""Matplotlib figures for the screen, for files and for reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from napari_attmil.core import Remedy, UserError, write_atomically
from napari_attmil.reports.blocks import Picture, encoded
from napari_attmil.reports.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Drawing = Callable[["Figure", str], None]
"""Draws into an empty figure, text and axes in the given colour."""

SUFFIXES: Final = (".png", ".svg", ".pdf")
DPI: Final = 100
_SHARPER: Final = 2
"""Resolution of figures in reports relative to the screen, for printing."""
_HINT: Final = "hint: "


def plain_axes(figure: Figure, ink: str) -> Axes:
    """Return axes with two sides and small text, all in one colour."""
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.tick_params(colors=ink, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(ink)
        label.set_fontsize(8)
    for side, spine in axes.spines.items():
        spine.set_color(ink)
        spine.set_visible(side in ("left", "bottom"))
    return axes


def rendered(
    drawing: Drawing, size_px: tuple[int, int], ink: str, sharper: float = 1.0, ground: str = "none"
) -> np.ndarray[Any, Any]:
    """Return a drawing as (h, w, 4) uint8.

    Parameters
    ----------
    drawing
        What to draw.
    size_px
        Width and height before `sharper` multiplies them.
    ink
        Colour of text and axes.
    ground
        Colour of the background; transparent by default.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(_drawn(drawing, size_px, ink, sharper, ground))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def figure_picture(drawing: Drawing, size_px: tuple[int, int], caption: str) -> Picture:
    """Return a drawing, black on white, as a picture for a report."""
    pixels = rendered(drawing, size_px, "black", _SHARPER, "white")
    picture = encoded(Image.fromarray(pixels).convert("RGB"), "PNG", caption)
    return replace(picture, size_px=size_px)


def inline_svg(drawing: Drawing, size_px: tuple[int, int], title: str) -> str:
    """Return a drawing as ``<svg>`` for pages that extend ``reports/page.html.jinja``.

    It takes the page's fonts and colours, so that it follows the reader's theme: what is drawn in
    a colour of `LIGHT` gets the CSS variable.

    Parameters
    ----------
    drawing
        What to draw; see `hint_id`.
    size_px
        Width and height, which give the proportions and the size of the text.
    title
        Plain text for those who cannot see the figure.
    """
    from matplotlib import rc_context

    file = StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # The salt makes the file the same each time.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure = _drawn(drawing, size_px, LIGHT["ink"])
        figure.savefig(file, format="svg", metadata=no_metadata)
    svg = ElementTree.fromstring(file.getvalue())
    for element in svg.iter():
        _fit_into_page(element)
    svg.attrib |= {"role": "img", "aria-label": title}
    return ElementTree.tostring(svg, encoding="unicode")


def hint_id(text: str) -> str:
    """Return the gid of a line that gives it a tooltip."""
    return _HINT + text


def save_figure(path: Path, drawing: Drawing, size_px: tuple[int, int]) -> None:
    """Write a drawing, black on white, in the format of the path's suffix, whole or not at all.

    Raises
    ------
    UserError
        If the suffix is not one of `SUFFIXES`, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(
            f"A figure cannot be saved as '{path.name}'; choose a name that ends in "
            f"{', '.join(SUFFIXES)}.",
            Remedy.SAVE_ELSEWHERE,
        )
    from matplotlib import rc_context

    # In SVG, text stays text and pictures stay apart, so that the figure can be edited.
    with rc_context({"svg.fonttype": "none", "image.composite_image": False}):
        try:
            figure = _drawn(drawing, size_px, "black", _SHARPER, "white")
            with write_atomically(path) as temporary:
                figure.savefig(temporary, format=suffix[1:])
        except MemoryError as error:
            raise UserError(
                f"{path} could not be drawn; export fewer cells, or close other programs."
            ) from error


def _drawn(
    drawing: Drawing, size_px: tuple[int, int], ink: str, sharper: float = 1.0, ground: str = "none"
) -> Figure:
    from matplotlib.figure import Figure  # loaded when the first figure is drawn

    inches = (size_px[0] / DPI, size_px[1] / DPI)
    figure = Figure(inches, DPI * sharper, layout="constrained", facecolor=ground)
    drawing(figure, ink)
    return figure


def _fit_into_page(element: ElementTree.Element) -> None:
    """Remove what only separate files need, and insert tooltips and the page's colours."""
    element.tag = _without_namespace(element.tag)
    element.attrib = {_without_namespace(name): text for name, text in element.items()}
    style = element.get("style", "")
    for name, colour in LIGHT.items():
        style = style.replace(colour, f"var(--{name})")
    if style:
        element.set("style", style)
    # Names of groups are not referenced, unlike those of other elements.
    name = element.attrib.pop("id", "") if element.tag == "g" else ""
    if name.startswith(_HINT):
        hint = ElementTree.Element("title")
        hint.text = name.removeprefix(_HINT)
        element.insert(0, hint)


def _without_namespace(name: str) -> str:
    return name.rpartition("}")[2]
