"""A report about classified samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_attmil.explore import model_origin
from napari_attmil.workflows.steps import NEVER, Stage, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from napari_attmil.bags import Classifier
    from napari_attmil.explore.report import Finding


def report_samples(
    path: Path,
    findings: Sequence[Finding],
    classifier: Classifier,
    name: str,
    made_with: Mapping[str, Any] | None = None,
    stop: Event = NEVER,
) -> Stage[Path | None]:
    """Write a report about classified samples; stopped early, write nothing and return None.

    Parameters
    ----------
    path
        Ends in .html or .pdf.
    findings
        The samples.
    classifier, name
        The classifier of the samples, and its name in the report.
    made_with
        Further entries about how the report was made.
    stop
        Set to end early.
    """
    from napari_attmil.explore.report import write_report

    origin = model_origin(classifier, name)
    steps = write_report(path, findings, {**(made_with or {}), **origin})
    yield from until(steps, stop)
    return None if stop.is_set() else path
