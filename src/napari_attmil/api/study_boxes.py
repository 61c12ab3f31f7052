"""A study's boxes and its detector: review, import, export, merging, fitting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil import workflows
from napari_attmil.api.runs import (
    CohortLike,
    OnProgress,
    as_cohort,
    checked_out,
    optional_path,
    require,
    result_of,
    study_of,
    warn_if_stopped,
)
from napari_attmil.cells import FinetuneSettings
from napari_attmil.cells.finetuning import (
    choose_held_out,
    read_labelled_images,
    reviewed_images,
    training_folder,
)

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.cells.annotations import Repaired, SampleMerged
    from napari_attmil.cells.detection import Detector
    from napari_attmil.cells.exchange import ImportOutcome
    from napari_attmil.cells.finetuning import LabelledImage
    from napari_attmil.workflows import OddBoxOfStudy, SampleTable

Paths = str | Path | Sequence[str | Path]


def sample_table(cohort: CohortLike, out: str | Path | None = None, names: str = "") -> SampleTable:
    """Write the table of samples, patients and classes, to be filled in.

    Parameters
    ----------
    cohort
        The study.
    out
        CSV file; the study's `cohort.csv` if None.
    names
        Pattern of names, for instance "{class}/{patient}/**".

    Examples
    --------
    >>> attmil.sample_table("study", "samples.csv").remarks[0]
    '6 images, 6 samples, 6 patients, 2 classes.'
    """
    return workflows.write_sample_table(as_cohort(cohort), optional_path(out), names)


def queue(cohort: CohortLike) -> pd.DataFrame:
    """Return the images to review next, the one the detector is least sure of first.

    Returns
    -------
    DataFrame
        Columns doubt, file and page (from 1).
    """
    import pandas as pd

    opened = as_cohort(cohort)
    waiting = workflows.waiting_images(opened, workflows.annotations_of(opened))
    rows = [(image.doubt, str(image.frame.path), image.frame.page_in_file + 1) for image in waiting]
    return pd.DataFrame(rows, columns=["doubt", "file", "page"])


def import_boxes(
    cohort: CohortLike,
    files: Paths,
    classes: str | Sequence[str] = (),
    *,
    reviewed: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = None,
) -> ImportOutcome:
    """Merge other programs' boxes into a study; no box drawn by a person is changed or lost.

    Parameters
    ----------
    cohort
        The study.
    files
        COCO, YOLO, Pascal VOC, CSV, CVAT or Label Studio files, masks or label images, folders or
        zip archives.
    classes
        Those that are red cells; by default those named like red cells.
    reviewed
        Whether a person has checked the files' images: they then count as reviewed, and boxes of
        the detector alone that the files do not have are removed. Not so images of which something
        is left out; boxes of other classes do not count for that.
    dry_run
        Whether to say only what would come in.
    on_progress
        Called with every step.

    Raises
    ------
    UserError
        If a file cannot be read, or nothing of the files fits the study.
    """
    from napari_attmil.cells.annotations import boxes_beside
    from napari_attmil.cells.exchange import plan_import, read_boxes

    opened, paths = as_cohort(cohort), _paths(files)
    words = workflows.class_words(classes)
    plan = result_of(plan_import(opened.samples, read_boxes(paths), words), on_progress)
    if reviewed:
        plan = plan.as_reviewed()
    _, planned = plan.merged_into(workflows.annotations_of(opened))
    workflows.check_something_imported(planned)
    if dry_run:
        return planned
    made_by = ", ".join(path.name for path in paths)[:200]
    return plan.write(opened.samples, boxes_beside(opened.folder, opened.samples), made_by)


def export_boxes(
    cohort: CohortLike, out: str | Path, format_name: str = "coco", *, overwrite: bool = False
) -> tuple[str, ...]:
    """Write a study's boxes for other programs; return what the format cannot hold.

    Parameters
    ----------
    cohort
        The study.
    out
        File (coco, coco-outlines, csv) or folder (voc, yolo, imagej, geojson, labels).
    format_name
        One of these; coco-outlines and labels have the cells' outlines.
    overwrite
        Whether to replace files that this program did not write.
    """
    path = checked_out(out, cohort, check=None)  # may be a folder
    opened = as_cohort(cohort)
    annotated = workflows.annotations_of(opened)
    plan = workflows.planned_export(opened, annotated, path, format_name)
    plan.write(overwrite)
    return tuple(plan.notes)


def odd_boxes(cohort: CohortLike) -> list[OddBoxOfStudy]:
    """Return boxes that are probably mistakes: tiny, huge, duplicate, or outside the image."""
    opened = as_cohort(cohort)
    return workflows.odd_boxes_of(opened, workflows.annotations_of(opened))


def agreement(first: CohortLike, second: CohortLike) -> str:
    """Return how far two people's boxes of the same images agree, in words, a line an image."""
    from napari_attmil.cells.annotations import agreement_in_words, compare_annotators

    mine, theirs = as_cohort(first), as_cohort(second)
    annotated = workflows.annotations_of(mine), workflows.annotations_of(theirs)
    return "\n".join(
        agreement_in_words(compare_annotators(mine, annotated[0], theirs, annotated[1]))
    )


def merge(mine: str | Path, theirs: str | Path, out: str | Path) -> list[SampleMerged]:
    """Join two people's annotations of one study in a new folder, with a list of conflicts."""
    samples = as_cohort(mine).samples
    return workflows.merge_studies(samples, Path(mine), Path(theirs), Path(out))


def repair(folder: str | Path) -> Repaired:
    """Restore all boxes that can be had of a damaged annotations.sqlite; it is put aside first."""
    from napari_attmil.cells.annotations import FILE_NAME, repair_file

    return repair_file(Path(folder) / FILE_NAME)


def finetune(
    source: CohortLike,
    out: str | Path,
    settings: FinetuneSettings | None = None,
    *,
    weights: str | Path | None = None,
    hold_out: Sequence[str] = (),
    device: str = "auto",
    on_progress: OnProgress = None,
) -> Detector:
    """Fit the detector to reviewed images and return it; as `attmil finetune`.

    Parameters
    ----------
    source
        A study with reviewed images, or a COCO file, all images of which are used.
    out
        Model file.
    settings
        How long and how fast.
    weights
        Model file of the detector to begin with; one of another package cannot be fitted.
    hold_out
        Images to test on, as paths within the study; chosen automatically if empty.
    device
        As for `choose_device`.
    on_progress
        Called with every step; the last one's `detail` has precision before and after.

    Raises
    ------
    UserError
        If there are too few reviewed images, the file cannot be written, or the stage was stopped
        before it had written a detector.
    """
    from napari_attmil.cells.detection import Detector, check_can_be_fitted
    from napari_attmil.core import choose_device

    path, how = checked_out(out, source, weights), settings or FinetuneSettings()
    check_can_be_fitted(optional_path(weights))
    if isinstance(source, str | Path) and Path(source).suffix.lower() == ".json":
        images, folder = read_labelled_images(Path(source)), Path(source).parent
        _hold_out(folder, hold_out, images)
        start = optional_path(weights)
        steps = workflows.finetune_images(images, how, device, path, start, folder)
    else:
        study = study_of(source, weights)
        checked_out(path, study.detector_path)
        check_can_be_fitted(study.detector_path)
        if hold_out:
            cohort = study.cohort
            images = reviewed_images(cohort.samples, study.annotations, cohort.folder)
            _hold_out(training_folder(cohort.folder), hold_out, images)
        steps = workflows.finetune_study(study, how, device, path)
    tuning = result_of(steps, on_progress)
    # An older file may be there, which is not what this call has made.
    require(tuning.last if tuning.last is not None and tuning.last.written else None, "detector")
    warn_if_stopped(tuning.is_finished, "the best weights so far are kept")
    return Detector.load(path, choose_device(device))


def _hold_out(folder: Path, asked: Sequence[str], images: Sequence[LabelledImage]) -> None:
    """Keep with a study which of its images a person wants to be held out."""
    if asked:
        choose_held_out(folder, [*asked], [image.name for image in images])


def _paths(files: Paths) -> list[Path]:
    return [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
