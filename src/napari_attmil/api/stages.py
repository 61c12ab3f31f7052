"""The stages of the method: simulate, detect, train, evaluate, classify, and what a model saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_attmil import workflows
from napari_attmil.api.runs import (
    CohortLike,
    OnProgress,
    SamplesLike,
    as_classifier,
    as_samples,
    as_workers,
    checked_out,
    classified_samples,
    listed,
    one_sample,
    optional_path,
    require,
    result_of,
    studies_of,
    study_of,
    warn_if_stopped,
)
from napari_attmil.bags import ensemble_preset, mil_preset
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import choose_device
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.simulation import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from napari_attmil import bags
    from napari_attmil.api.trained_classifier import Classifier
    from napari_attmil.bags import EnsembleSettings, MILSettings, Prediction
    from napari_attmil.cells.detection import DetectionPlan
    from napari_attmil.core import Workers
    from napari_attmil.explore import CellFacts
    from napari_attmil.images import Cohort, Sample
    from napari_attmil.workflows import StudyShapes


def simulate(
    out: str | Path,
    settings: SimulationSettings | None = None,
    *,
    on_progress: OnProgress = None,
) -> Cohort:
    """Write a simulated cohort, with the true box and type of every cell, and open it.

    Parameters
    ----------
    out
        A new folder.
    settings
        How many patients, samples and images, and how they look.
    on_progress
        Called with every step; `print` will do.

    Examples
    --------
    >>> small = attmil.SimulationSettings(classes=("healthy", "sickle"), patients_per_class=1)
    >>> attmil.simulate("new-study", small).classes
    ('healthy', 'sickle')
    """
    from napari_attmil.simulation import simulate_cohort

    result_of(simulate_cohort(Path(out), settings or SimulationSettings()), on_progress)
    return workflows.open_cohort(out)


def detect(
    samples: SamplesLike,
    out: str | Path | None = None,
    settings: DetectionSettings | None = None,
    *,
    region: Sequence[float] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    workers: int | Workers | None = None,
    on_progress: OnProgress = None,
) -> pd.DataFrame:
    """Find the cells of samples; return one row a cell, as `attmil detect` writes it.

    Cells are found anew: a study's corrections are not in the table.

    Parameters
    ----------
    samples
        Samples, or image files, stacks and folders.
    out
        CSV or Parquet file to write too.
    settings
        How cells are found.
    region
        x_min, y_min, x_max, y_max in pixels of the only part of each image that is searched.
    weights
        Model file of another detector than the study's or the shipped one.
    device
        As for `choose_device`.
    workers
        How many processes of this computer share the work, or those of a cluster (see
        `open_cluster`); as many as pay if None. The result is the same.
    on_progress
        Called with every step.

    Examples
    --------
    >>> cells = attmil.detect("study/sickle/sickle-01", "cells.csv")
    >>> list(cells)[-4:]
    ['x_max', 'y_max', 'score', 'source']
    """
    import pandas as pd

    from napari_attmil.explore import cell_table, check_table_file, write_cells

    given = listed(samples)
    path = checked_out(out, given, weights, check=check_table_file)
    view = None if region is None else workflows.check_region(region)
    opened, finding = as_samples(given), settings or DetectionSettings()
    if view is not None:
        opened = result_of(workflows.samples_with_region(opened, view), on_progress)
    own = [optional_path(weights) or workflows.detector_around(sample) for sample in opened]
    wanted = [
        workflows.ToSearch(sample, range(len(sample)), detector, view)
        for sample, detector in zip(opened, own, strict=True)
    ]
    steps = workflows.detect_samples(wanted, finding, device, as_workers(workers))
    pairs = zip(opened, result_of(steps, on_progress), strict=True)
    tables = [cell_table(sample, found.boxes) for sample, found in pairs]
    if path is not None:
        write_cells(path, tables)
    return pd.concat(tables, ignore_index=True)


def plan_detection(
    sample: Sample | str | Path,
    settings: DetectionSettings | None = None,
    *,
    region: Sequence[float] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_progress: OnProgress = None,
) -> DetectionPlan:
    """Judge by a few parts of a sample, as a scan of a whole slide, what `detect` would take.

    Parameters are those of `detect`.

    Examples
    --------
    >>> plan = attmil.plan_detection("study/sickle/sickle-01")
    >>> plan.parts  # one an image that is not large
    1
    """
    from napari_attmil.images import read_images

    own = one_sample(sample, "a plan is made for one of them; give that sample.")
    in_pixels = (settings or DetectionSettings()).in_pixels(own.pixel_size_um)
    steps = workflows.plan_cells(
        read_images(own),
        range(len(own)),
        in_pixels,
        device,
        optional_path(weights) or workflows.detector_around(own),
        None if region is None else workflows.check_region(region),
    )
    return require(result_of(steps, on_progress), "plan")


def train(
    cohort: CohortLike,
    out: str | Path | None = None,
    settings: MILSettings | None = None,
    ensemble: EnsembleSettings | None = None,
    *,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    workers: int | Workers | None = None,
    on_progress: OnProgress = None,
) -> Classifier:
    """Train the classifier for routine use on a cohort: a calibrated ensemble, as `attmil train`.

    Interrupted, it saves the models that are there; the same call goes on from there.

    Parameters
    ----------
    cohort
        Samples without a class are left out.
    out
        Model file; by default one in the study's folder `models`, named by the time.
    settings
        Architecture and fitting; the project's default, as `mil_preset("default")`.
    ensemble
        The number of models and their calibration; as `ensemble_preset("default")`.
    detection, weights, device, workers, on_progress
        As for `detect`.

    Raises
    ------
    UserError
        If the cohort cannot be trained on, or the model cannot be written.

    Examples
    --------
    Two models of two passes are quick and bad; leave both settings out for the default.

    >>> short = attmil.mil_preset("default", epochs=2)
    >>> few = attmil.ensemble_preset("default", members=2)
    >>> classifier = attmil.train("study", "quick.safetensors", short, few)
    >>> classifier.classes
    ('healthy', 'sickle')
    """
    from napari_attmil.api.trained_classifier import Classifier

    path = checked_out(out, cohort, weights)
    steps = workflows.train_classifier(
        study_of(cohort, weights),
        settings or mil_preset("default"),
        ensemble or ensemble_preset("default"),
        detection or DetectionSettings(),
        device,
        path,
        as_workers(workers),
    )
    trained = require(result_of(steps, on_progress), "classifier")
    warn_if_stopped(trained.is_finished, "the models so far are written")
    assert trained.classifier.path is not None  # a training saves what it has made
    return Classifier.load(trained.classifier.path, choose_device(device))


def evaluate(
    cohort: CohortLike,
    out: str | Path,
    settings: MILSettings | None = None,
    plan: EvaluationSettings | None = None,
    ensemble: EnsembleSettings | None = None,
    *,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    workers: int | Workers | None = None,
    on_progress: OnProgress = None,
) -> dict[str, Any]:
    """Cross-validate by patient and write the report; return it, as in `report.json`.

    Interrupted, the same call goes on where it stood.

    Parameters
    ----------
    cohort
        Samples without a class are left out.
    out
        Folder for `report.html`, `report.md` and `report.json`.
    settings
        Architecture and fitting.
    plan
        Folds, runs, and which methods are compared.
    ensemble
        The ensemble that is compared with single models.
    detection, weights, device, workers, on_progress
        As for `detect`.
    """
    folder = checked_out(Path(out) / "report.json", cohort, weights).parent
    steps = workflows.evaluate_study(
        study_of(cohort, weights),
        settings or mil_preset("default"),
        plan or EvaluationSettings(),
        ensemble or ensemble_preset("default"),
        detection or DetectionSettings(),
        device,
        folder,
        as_workers(workers),
    )
    return require(result_of(steps, on_progress), "report")


def classify(
    model: bags.Classifier | str | Path,
    samples: SamplesLike,
    out: str | Path | None = None,
    *,
    prior: Mapping[str, float] | None = None,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    workers: int | Workers | None = None,
    on_progress: OnProgress = None,
) -> list[Prediction]:
    """Classify samples, with the corrected boxes of the study that they lie in.

    Parameters
    ----------
    model
        A classifier or its file.
    samples, detection, weights, device, workers, on_progress
        As for `detect`.
    out
        Table of all cells to write too.
    prior
        How frequent each class is where the samples come from, such as ``{"healthy": 0.9,
        "sickle": 0.1}``; as kept in the study, otherwise as in the training, if None.

    Examples
    --------
    >>> predictions = attmil.classify("model.safetensors", "study/sickle", "cells.csv")
    >>> [len(prediction.attention) for prediction in predictions]
    [11, 7, 7]
    """
    from napari_attmil.explore import cell_table, check_table_file, write_cells

    given = listed(samples)
    path = checked_out(out, model, given, weights, check=check_table_file)
    classifier = as_classifier(model, device, prior)
    studies = studies_of(given, weights)
    found = classified_samples(studies, classifier, detection, device, on_progress, workers)
    if path is not None:
        tables = [cell_table(f.sample, f.boxes, f.prediction, notes=f.notes) for f in found]
        write_cells(path, tables)
    return [one.prediction for one in found]


def report(
    model: bags.Classifier | str | Path,
    samples: SamplesLike,
    out: str | Path,
    *,
    prior: Mapping[str, float] | None = None,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_progress: OnProgress = None,
) -> Path:
    """Classify samples and write one report about them.

    Parameters
    ----------
    model
        A classifier or its file.
    samples, detection, weights, device, on_progress
        As for `detect`. A cohort gives a report by class.
    out
        HTML or PDF file.
    prior
        How frequent each class is where the samples come from, such as ``{"healthy": 0.9,
        "sickle": 0.1}``; as kept in the study, otherwise as in the training, if None.
    """
    from napari_attmil.explore.report import Finding, check_suffix

    given = listed(samples)
    path = checked_out(out, model, given, weights)
    check_suffix(path)
    classifier = as_classifier(model, device, prior)
    found = classified_samples(
        studies_of(given, weights), classifier, detection, device, on_progress
    )
    findings = [Finding(one.sample, one.boxes, one.prediction) for one in found]
    name = str(model) if isinstance(model, str | Path) else "classifier"
    made_with = {"detection": (detection or DetectionSettings()).model_dump()}
    steps = workflows.report_samples(path, findings, classifier, name, made_with)
    return require(result_of(steps, on_progress), "report")


def cell(
    model: bags.Classifier | str | Path,
    sample: Sample | str | Path,
    cell_id: int,
    others: SamplesLike = (),
    *,
    prior: Mapping[str, float] | None = None,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_progress: OnProgress = None,
) -> CellFacts:
    """Return everything that is known of one cell; printed, it is a text for people.

    Parameters
    ----------
    model
        A classifier or its file.
    sample
        The cell's sample.
    cell_id
        The cell's number in it.
    others
        Samples in which similar cells are sought; the sample itself is none of them.
    prior
        How frequent each class is where the samples come from, such as ``{"healthy": 0.9,
        "sickle": 0.1}``; as kept in the study, otherwise as in the training, if None.
    detection, weights, device, on_progress
        As for `detect`.
    """
    own = one_sample(sample, "a cell is in one of them; give that sample.")
    opened = as_samples([sample, *listed(others)])
    same = [one for one in opened if one.frames == own.frames]
    studies = studies_of([same[0], *(one for one in opened if one not in same)], weights)
    classifier = as_classifier(model, device, prior)
    found = classified_samples(studies, classifier, detection, device, on_progress)
    asked = workflows.asked_cell(found, own, cell_id)
    (study,) = (each for each in studies if same[0] in each.cohort.samples)
    return result_of(workflows.look_at_cell(asked, study, classifier, device), on_progress)


def shapes(
    model: bags.Classifier | str | Path,
    cohort: CohortLike,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    detection: DetectionSettings | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_progress: OnProgress = None,
) -> StudyShapes:
    """Measure all cells of a cohort, and say whether those with high attention differ.

    Parameters
    ----------
    model
        A classifier or its file.
    cohort
        The study.
    out
        Table of all cells to write too.
    seed
        The same seed gives the same result.
    detection, weights, device, on_progress
        As for `detect`.
    """
    from napari_attmil.explore import check_table_file, write_cells

    path = checked_out(out, model, cohort, weights, check=check_table_file)
    study, classifier = study_of(cohort, weights), as_classifier(model, device)
    settings = detection or DetectionSettings()
    steps = workflows.shapes_of_study(study, classifier, settings, device, seed)
    measured = result_of(steps, on_progress)
    if path is not None:
        write_cells(path, [measured.cells])
    return measured
