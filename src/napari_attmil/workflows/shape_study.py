"""Shapes of all cells of a study, and whether those that count look different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_attmil.core import finished
from napari_attmil.explore import study_table
from napari_attmil.workflows.measure import measure_cells
from napari_attmil.workflows.prepare import CellsAtHand, prepare_bags
from napari_attmil.workflows.steps import Progress, Stage

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.bags import Bag, Classifier
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.workflows.study import Study


@dataclass(frozen=True, eq=False)
class StudyShapes:
    """Shapes of a study's cells.

    Attributes
    ----------
    cells
        One row a cell: attention, contributions and measures.
    findings
        Sentences, class by class: whether cells with high attention differ from the others.
    """

    cells: pd.DataFrame
    findings: tuple[str, ...]


def shapes_of_study(
    study: Study,
    classifier: Classifier,
    detection: DetectionSettings,
    device_name: str,
    seed: int = 0,
) -> Stage[StudyShapes]:
    """Measure all cells of a study and compare, class by class, those with high attention.

    Parameters
    ----------
    study
        Its boxes are used where there are any.
    classifier
        Gives attention and contributions.
    detection
        How cells are detected in samples without detections.
    device_name
        As for `choose_device`.
    seed
        The same seed gives the same result.
    """
    import pandas as pd

    yield Progress(0, len(study.cohort), "Loading the detector")
    detector = study.detector(device_name)
    bags = yield from prepare_bags(study, detector, detection, classifier.feature_settings)
    tables = []
    for done, bag in enumerate(bags):
        yield Progress(done, len(bags), f"Measuring the cells of {bag.sample}")
        tables.append(_cells_of(study, bag, classifier))
    yield Progress(len(bags), len(bags), "Comparing cells with high attention with the others")
    cells = pd.concat(tables, ignore_index=True)
    return StudyShapes(cells, tuple(_findings(cells, classifier.healthy_class, seed)))


def _cells_of(study: Study, bag: Bag, classifier: Classifier) -> pd.DataFrame:
    """Return the cells of one sample with attention, contributions and shapes."""
    sample, kept = study.cohort[bag.sample], study.annotations.get(bag.sample)
    assert bag.boxes is not None  # bags of a cohort have them
    boxes = bag.boxes.sorted_by_image()
    (measured,) = finished(measure_cells([CellsAtHand(sample, boxes)], study.cohort.samples))
    prediction, notes = classifier.classify(bag), {} if kept is None else kept.notes
    return study_table(sample, boxes, prediction, measured.columns, notes=notes)


def _findings(cells: pd.DataFrame, healthy_class: str | None, seed: int) -> list[str]:
    from napari_attmil.explore import shapes

    found = []
    for name in sorted(map(str, cells["class"].unique())):
        of_class = cells[cells["class"] == name]
        healthy = shapes.healthy_cells(cells, name, "attention", healthy_class)
        columns = shapes.shape_columns(of_class)
        compared = shapes.compare_high_cells(of_class, "attention", columns, healthy, seed)
        sentences = shapes.findings_in_words(compared)
        found += [f"{name}: {sentence}" if name else sentence for sentence in sentences]
    return found
