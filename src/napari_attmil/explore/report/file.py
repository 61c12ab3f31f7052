"""Writes a report to a file, as HTML or PDF by its suffix."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from napari_attmil.core import CAUTION, Progress, Remedy, UserError, write_atomically
from napari_attmil.explore.report.by_class import about_class, about_classes, measured_cells
from napari_attmil.explore.report.content import TITLE, Finding, about_sample, closing, opening
from napari_attmil.reports import Block, Heading, html_page

SUFFIXES: Final = (".html", ".htm", ".pdf")


def write_report(
    path: Path, findings: Sequence[Finding], model: Mapping[str, Any]
) -> Generator[Progress, None, None]:
    """Write a self-contained report about samples, whole or not at all.

    Parameters
    ----------
    path
        Ends in one of `SUFFIXES`.
    findings
        The samples. If their classes are known, they are grouped by class, and the report compares
        the cells of the classes; otherwise they keep their order.
    model
        The origin of the classifier; see `napari_attmil.explore.summary.model_origin`.

    Yields
    ------
    Progress
        After each sample.

    Raises
    ------
    UserError
        If the suffix is not supported, or an image cannot be read or the file written.
    """
    check_suffix(path)
    blocks = opening(findings, CAUTION, model.get("on_new_patients", ""))
    is_grouped = any(finding.sample.label for finding in findings)
    ordered = _by_class(findings) if is_grouped else ((finding, []) for finding in findings)
    for done, (finding, of_class) in enumerate(ordered, start=1):
        blocks += [*of_class, *about_sample(finding, 3 if is_grouped else 2)]
        progress = Progress(done, len(findings), f"Writing sample {done} of {len(findings)}")
        if done < len(findings):
            yield progress
    blocks += closing(findings, model)
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".pdf":
            from napari_attmil.reports import pdf_file  # its library takes a while

            temporary.write_bytes(pdf_file(TITLE, blocks))
        else:
            temporary.write_text(html_page(TITLE, blocks), "utf-8")
    yield progress


def _by_class(findings: Sequence[Finding]) -> Iterator[tuple[Finding, list[Block]]]:
    """Yield samples class by class, with what stands before each."""
    cells, before = measured_cells(findings), about_classes(findings)
    for name in sorted({finding.sample.label or "" for finding in findings}):
        members = [finding for finding in findings if (finding.sample.label or "") == name]
        before += about_class(name, members, cells) if name else [Heading("Without a class", 2)]
        for finding in members:
            yield finding, before
            before = []


def check_suffix(path: Path) -> None:
    """Raise UserError unless a report can be written to such a file."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"A report cannot be written as '{path.name}'; choose a name that ends in .html or "
            ".pdf.",
            Remedy.SAVE_ELSEWHERE,
        )
