"""What the pages for people name is there: files, commands, options, names in code, links."""

from __future__ import annotations

import importlib
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

import napari_attmil
from napari_attmil.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(napari_attmil.__file__).parent
ROOT = Path(__file__).resolve().parent.parent
MODEL_CARD = PACKAGE / "weights" / "README.md"
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", MODEL_CARD),
    *sorted((ROOT / "docs").rglob("*.md")),
]
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
COMMANDS: Any = vars(typer.main.get_command(app))["commands"]

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FILE = re.compile(r"[\w./-]+\.(?:py|pyi|jinja|toml|yaml)\b|(?:[\w.-]+/)+[\w.-]+\.md\b")
NAME = re.compile(rf"(?:napari_attmil\.)?((?:{'|'.join(sorted(ROOMS))})(?:\.[A-Za-z_]\w*)+)")
WORD = re.compile(r"_?[A-Za-z][A-Za-z0-9]*_\w+|[A-Z]+[a-z0-9]+[A-Z]\w*")
DATA_FILES = (".csv", ".json")
OPTION = re.compile(r"(?<!\S)--[a-z][\w-]*")
COMMAND = re.compile(r"(?:^|\s)attmil ([a-z][\w-]*)(.*)")
SCRIPT = re.compile(r"([\w/]+\.py)\b(.*)")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> Iterator[str]:
    """Yield the code of a page: what stands in backticks, and fenced lines without comments."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line.partition(" #")[0] for line in block.splitlines()[1:-1])
    for inline in CODE.findall(FENCE.sub("", text)):
        yield inline.replace("\n", " ")


def found_file(name: str, page: Path) -> Path | None:
    """Return the file that a page means: from the root, the package or its own folder.

    A name without a folder may also be a script, a benchmark, or any file of the package.
    """
    places = [ROOT, PACKAGE, page.parent]
    if "/" not in name:
        places += [ROOT / "benchmarks", ROOT / "scripts"]
    direct = [place / name for place in places]
    anywhere = PACKAGE.rglob(name) if "/" not in name else []
    return next((path for path in chain(direct, anywhere) if path.is_file()), None)


def is_there(name: str) -> bool:
    """Return whether a dotted name below the package is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["napari_attmil", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if part in declared_fields(found):
                return True
            found = getattr(found, part, None)
        return found is not None
    return False


def declared_fields(value: Any) -> set[str]:
    """Return the fields of a class, which has them as attributes only where they have defaults."""
    return {
        name
        for base in getattr(value, "__mro__", ())
        for name in vars(base).get("__annotations__", {})
    }


def anchors_of(page: Path) -> set[str]:
    """Return what links can point to in a page, as GitHub derives it from headings."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@cache
def words_in_code() -> frozenset[str]:
    """Return every name that occurs in the code, its tests, the scripts and the benchmarks."""
    folders = (ROOT / name for name in ("src", "tests", "scripts", "benchmarks"))
    files = chain.from_iterable(folder.rglob("*.py") for folder in folders)
    own = Path(__file__)
    texts = (path.read_text(encoding="utf-8") for path in files if path != own)
    return frozenset(chain.from_iterable(re.findall(r"\w+", text) for text in texts))


def complaint(page: Path, what: str, wrong: list[str]) -> str:
    return (
        f"{page.relative_to(ROOT)} names {what} that are not there: {', '.join(wrong)}. Renamed or "
        "removed? Change the page too."
    )


@pages
def test_files_that_a_page_names_exist(page: Path) -> None:
    names = {name for code in code_of(page) for name in FILE.findall(code)}
    wrong = sorted(name for name in names if found_file(name, page) is None)
    assert not wrong, complaint(page, "files", wrong)


@pages
def test_names_in_code_that_a_page_gives_exist(page: Path) -> None:
    found = filter(None, (NAME.fullmatch(code.rstrip("()")) for code in code_of(page)))
    names = {match[1] for match in found if not match[1].endswith(DATA_FILES)}
    wrong = sorted(name for name in names if not is_there(name))
    assert not wrong, complaint(page, "functions or classes", wrong)


@pages
def test_words_of_the_code_that_a_page_uses_occur_there(page: Path) -> None:
    words = {code for code in code_of(page) if WORD.fullmatch(code)}
    wrong = sorted(words - words_in_code())
    assert not wrong, complaint(page, "words of the code", wrong)


@pages
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = []
    for name, rest in chain.from_iterable(map(COMMAND.findall, code_of(page))):
        if name not in COMMANDS:
            wrong.append(f"attmil {name}")
            continue
        known = {option for each in COMMANDS[name].params for option in each.opts}
        known |= {option for each in COMMANDS[name].params for option in each.secondary_opts}
        unknown = set(OPTION.findall(rest)) - known - {"--help"}
        wrong += [f"attmil {name} {option}" for option in sorted(unknown)]
    assert not wrong, complaint(page, "commands or options", wrong)


@pages
def test_options_of_scripts_exist(page: Path) -> None:
    shared = (ROOT / "benchmarks" / "reporting.py").read_text(encoding="utf-8")
    wrong = []
    for name, rest in chain.from_iterable(map(SCRIPT.findall, code_of(page))):
        path = found_file(name, page)
        text = "" if path is None else path.read_text(encoding="utf-8") + shared
        unknown = [option for option in OPTION.findall(rest) if f'"{option}"' not in text]
        wrong += [f"{name} {option}" for option in unknown if path is not None]
    assert not wrong, complaint(page, "options", wrong)


@pages
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        if "://" in link:
            continue
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            wrong.append(link)
    assert not wrong, complaint(page, "link targets", wrong)


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    there = {page.name for page in PAGES if page.parent == ROOT / "docs"}
    missing = sorted(there - listed - {"README.md"})
    assert not missing, f"docs/README.md does not link {', '.join(missing)}; add a line for each."
