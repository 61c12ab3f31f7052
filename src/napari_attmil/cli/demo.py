"""The main job from beginning to end, on a simulated cohort or on a person's own images."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from napari_attmil.bags import EnsembleSettings, MILSettings, features_for
from napari_attmil.cells import DetectionSettings
from napari_attmil.cli.terminal import (
    evaluation_written,
    follow,
    load_detector,
    prepare,
    say,
    write_json,
)
from napari_attmil.core import CAUTION, UserError, check_writable
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.workflows import DemoResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_attmil.bags import Bag, Classifier, Prediction
    from napari_attmil.cells.detection import Detector
    from napari_attmil.images import Cohort, Sample

FOLDS = 3
ENSEMBLE = EnsembleSettings(members=3, folds=2)
"""Fewer than by default, for two fifths of the time, so that the demo stays short."""
SHOWN_CLASS = "sickle"
"""The simulated class that is told apart at a glance, so that a newcomer sees what happened."""


def run_demo(data: Path | None, out: Path, device: str) -> DemoResult:
    """Run all stages and write ``cells.csv``, the model, and a report as JSON, Markdown and HTML.

    One patient is kept out of everything that is learnt, and is the one that is shown.

    Parameters
    ----------
    data
        A cohort of the person's own, or a folder of images; None simulates one.
    out
        Folder for the results.
    device
        As for `choose_device`.

    Raises
    ------
    UserError
        If the images cannot be used, or the folder cannot be written.
    """
    check_writable(out / "report.json")
    cohort = _simulated(out / "cohort") if data is None else _opened(data)
    for note in cohort.notes:
        say(note)
    detector = load_detector(None, device)
    bags = prepare(
        cohort,
        detector,
        DetectionSettings(),
        features_for(MILSettings()),
        store_folder=out / "features",
    )
    shown, learnt_from = _keep_one_patient_out(bags)
    classifier = _trained(learnt_from, detector, out)
    sample = next(sample for sample in cohort.samples if sample.name == shown.sample)
    prediction = None if classifier is None else classifier.classify(shown)
    _write_results(sample, shown, classifier, prediction, out)
    path = None if classifier is None else out / "classifier.safetensors"
    return DemoResult(cohort, sample, shown, prediction, classifier, path)


def _simulated(folder: Path) -> Cohort:
    from napari_attmil.images import open_cohort
    from napari_attmil.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings(
        patients_per_class=7,
        samples_per_patient=1,
        images_per_sample=3,
        image_size_px=400,
        cells_per_image=26,
        altered_share=0.2,
        variety=0.3,
    )
    for _ in follow("Simulating a cohort of five classes", simulate_cohort(folder, settings)):
        pass
    return open_cohort(folder)


def _opened(data: Path) -> Cohort:
    """Return the person's cohort; images without classes make one of unlabelled samples."""
    from napari_attmil.images import Cohort, open_cohort, open_samples

    try:
        return open_cohort(data)
    except UserError as error:
        samples = open_samples([data])
        note = f"{error} Without classes, cells are found and shown, but nothing is classified."
        return Cohort(tuple(samples), data if data.is_dir() else data.parent, (note,))


def _keep_one_patient_out(bags: Sequence[Bag]) -> tuple[Bag, list[Bag]]:
    """Return the bag to show, and those to learn from, which are of other patients."""
    patients = _patients_by_class(bags)
    spare = [label for label, names in patients.items() if len(names) > 1]
    if not spare:
        say("No class has a second patient, so the sample that is shown was also learnt from.")
        return bags[0], list(bags)
    label = SHOWN_CLASS if SHOWN_CLASS in spare else spare[-1]
    patient = sorted(patients[label])[0]
    shown = next(bag for bag in bags if bag.patient == patient and bag.label == label)
    say(f"Patient {patient} is kept out of all that is learnt, and is the one that is shown.")
    return shown, [bag for bag in bags if bag.patient != patient]


def _patients_by_class(bags: Sequence[Bag]) -> dict[str, set[str]]:
    patients: dict[str, set[str]] = defaultdict(set)
    for bag in bags:
        if bag.label is not None:
            patients[bag.label].add(bag.patient)
    return dict(sorted(patients.items()))


def _trained(bags: Sequence[Bag], detector: Detector, out: Path) -> Classifier | None:
    """Cross-validate where there are patients enough, then train on all, and save the model."""
    from napari_attmil.bags.training import EnsembleTrainer
    from napari_attmil.evaluation import cross_validate

    patients = _patients_by_class(bags)
    if len(patients) < 2:
        say("A classifier needs two classes of samples, so none was trained.")
        return None
    settings = MILSettings()
    if min(map(len, patients.values())) >= FOLDS:
        plan = EvaluationSettings(folds=FOLDS, runs=1, methods=(settings.method,), ensemble=False)
        steps = cross_validate(bags, settings, plan, detector.device)
        say(evaluation_written(steps, out))
    else:
        say(f"Cross-validation needs {FOLDS} patients of each class, so it was left out.")
    label = "Training on all but one patient"
    trainer = EnsembleTrainer(bags, settings, ENSEMBLE, detector.device)
    for _ in follow(label, trainer.epochs(), lambda step: step.title):
        pass
    trainer.best.save(out / "classifier.safetensors")
    return trainer.best


def _write_results(
    sample: Sample,
    bag: Bag,
    classifier: Classifier | None,
    prediction: Prediction | None,
    out: Path,
) -> None:
    """Write the shown sample's cells, and add its classification to the report."""
    from napari_attmil.explore import (
        cell_table,
        classification_report,
        in_words,
        model_origin,
        write_cells,
    )

    assert bag.boxes is not None  # bags of images always have them
    write_cells(out / "cells.csv", [cell_table(sample, bag.boxes, prediction)])
    path = out / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if classifier is not None and prediction is not None:
        origin = model_origin(classifier, "classifier.safetensors", classifier.detector_digest)
        report["shown"] = classification_report([prediction], origin) | {"label": sample.label}
        share = max(prediction.probabilities)
        say(f"{sample.name}: {prediction.predicted} {share:.0%}. {in_words(prediction)}.")
        say(f"{prediction.note} {CAUTION}".strip())
    write_json(path, report)
