"""Reports as single HTML pages that need no other file, written from templates."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from napari_attmil.reports.palette import LIGHT
from napari_attmil.reports.pictures import THUMBNAIL_PX

if TYPE_CHECKING:
    from jinja2 import Environment

    from napari_attmil.reports.blocks import Block


def html_page(title: str, blocks: Iterable[Block]) -> str:
    """Return a report as HTML; its pictures stand within the page."""
    return from_template("reports/blocks.html.jinja", title=title, blocks=blocks)


def from_template(template: str, **values: Any) -> str:
    """Return a template filled with values.

    Parameters
    ----------
    template
        Its path in the package, which ends in ``.html.jinja`` or ``.md.jinja``. A page extends
        ``reports/page.html.jinja`` and needs the value `title`.
    values
        Plain text is escaped in HTML.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("napari_attmil", "."),
        autoescape=select_autoescape(disabled_extensions=("md.jinja",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"light": LIGHT, "thumbnail_px": THUMBNAIL_PX}
    # In Markdown, names of classes must not become elements of the page it is shown as.
    environment.filters["plain"] = lambda text: str(text).replace("<", "&lt;")
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment
