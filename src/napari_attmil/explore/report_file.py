"""A report written to a file, whose suffix says how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.checkpoints import write_atomically
from napari_attmil.explore.report import CAUTION
from napari_attmil.explore.report_content import TITLE, about_sample, closing, opening
from napari_attmil.explore.report_html import html_page
from napari_attmil.settings import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_attmil.explore.report_content import Finding

SUFFIXES: Final = (".html", ".htm", ".pdf")


@dataclass(frozen=True)
class ReportProgress:
    """How far a report has come: `done` of `total` samples; after the last one it is kept."""

    done: int
    total: int


def write_report(
    path: Path, findings: Sequence[Finding], model: Mapping[str, Any]
) -> Iterator[ReportProgress]:
    """Write a self-contained report about samples, whole or not at all.

    Parameters
    ----------
    path
        Ends in one of `SUFFIXES`.
    findings
        The samples, in the order of the report.
    model
        Where the classifier comes from; see `napari_attmil.explore.report.model_origin`.

    Yields
    ------
    ReportProgress
        After each sample.

    Raises
    ------
    UserError
        If the suffix is another, an image can no longer be read, or the file cannot be written.
    """
    check_suffix(path)
    blocks = opening(findings, CAUTION)
    for done, finding in enumerate(findings, start=1):
        blocks += about_sample(finding)
        if done < len(findings):
            yield ReportProgress(done, len(findings))
    blocks += closing(findings, model)
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".pdf":
            from napari_attmil.explore.report_pdf import pdf_file  # its library takes a while

            temporary.write_bytes(pdf_file(TITLE, blocks))
        else:
            temporary.write_text(html_page(TITLE, blocks), "utf-8")
    yield ReportProgress(len(findings), len(findings))


def check_suffix(path: Path) -> None:
    """Raise UserError unless a report can be written to such a file."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"A report cannot be written as '{path.name}'; choose a name that ends in .html or "
            ".pdf."
        )
