"""What MkDocs does with the pages: links that leave `docs`, the commands, the model card.

The pages are read on GitHub too, where links into the repository work as they stand; on the site
they lead to the repository.
"""

from __future__ import annotations

import os
import re
from html import unescape
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
MODEL_CARD: Final = ROOT / "src" / "napari_attmil" / "weights" / "README.md"
REPOSITORY: Final = "https://github.com/napari-attmil/napari-attmil/blob/main/"
LINK: Final = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]+)?\)")
EQUATION: Final = re.compile(
    r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</(?:div|span)>', re.DOTALL
)
"""As the extension arithmatex writes it."""
COMMANDS: Final = "<!-- commands -->"
CARD: Final = "<!-- model card -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page's text with what is generated, and with links that work on the site."""
    source = Path(page.file.abs_src_path)
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    if CARD in markdown:
        card = MODEL_CARD.read_text(encoding="utf-8").partition("\n")[2]
        markdown = markdown.replace(CARD, _relinked(card, MODEL_CARD, source))
    return _relinked(markdown, source, source)


def on_page_content(html: str, **_: Any) -> str:
    """Return a page with its equations as MathML, for which browsers need no script."""
    from latex2mathml.converter import convert

    def converted(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return str(convert(unescape(match[2]), display=display))

    return EQUATION.sub(converted, html)


def _relinked(markdown: str, written_in: Path, shown_in: Path) -> str:
    """Return a text whose links are seen from another page, or lead to the repository."""

    def replaced(match: re.Match[str]) -> str:
        target = (written_in.parent / match[1]).resolve()
        anchor = match[2] or ""
        if target == MODEL_CARD:
            target, anchor = ROOT / "docs" / "model-card.md", ""
        if target.is_relative_to(ROOT / "docs"):
            path = os.path.relpath(target, shown_in.parent)
            return f"]({Path(path).as_posix()}{anchor})"
        if target.is_relative_to(ROOT) and target.exists():
            return f"]({REPOSITORY}{target.relative_to(ROOT).as_posix()}{anchor})"
        return match[0]

    return LINK.sub(replaced, markdown)


def commands() -> str:
    """Return a section for each command: what it does, its arguments and options."""
    import typer.main

    from napari_attmil.cli import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, one) for name, one in group.commands.items())


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    words = " ".join(_argument(one) for one in arguments)
    usage = f"```bash\nattmil {name} {words} [OPTIONS]\n```".replace("  ", " ")
    lines = [f"## {name}", command.help or "", usage]
    if arguments:
        rows = [f"| `{_argument(one)}` | {_cell(one.help)} |" for one in arguments]
        lines.append("\n".join(["| argument | what it is |", "|---|---|", *rows]))
    if options:
        rows = [f"| {_flags(one)} | {_cell(one.help)} | {_default(one)} |" for one in options]
        lines.append(
            "\n".join(["| option | what it does | unless given |", "|---|---|---|", *rows])
        )
    return "\n\n".join(lines)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def _flags(option: Any) -> str:
    return ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))


def _default(option: Any) -> str:
    if option.required:
        return "must be given"
    if isinstance(option.show_default, str):
        return _cell(option.show_default)
    if option.default is None or option.default is False or callable(option.default):
        return ""
    return f"`{option.default}`"


def _cell(text: str | None) -> str:
    """Return a text as a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
