"""What the demo found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags import Bag, Classifier, Prediction
    from napari_attmil.images import Cohort, Sample


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo found, for a window to show.

    Attributes
    ----------
    cohort
        All samples.
    sample, bag
        The sample that is shown, and its cells.
    prediction
        What the classifier says about it; None where a cohort has no two classes.
    classifier, classifier_path
        The classifier and its file; None likewise.
    """

    cohort: Cohort
    sample: Sample
    bag: Bag
    prediction: Prediction | None
    classifier: Classifier | None
    classifier_path: Path | None
