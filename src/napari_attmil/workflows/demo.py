"""The main job from beginning to end, on a simulated cohort or on a person's own images."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.bags import EnsembleSettings, MILSettings, features_for
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import CAUTION, check_writable, write_json
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.images import Cohort, open_cohort
from napari_attmil.simulation import SimulationSettings, simulate_cohort
from napari_attmil.workflows.evaluate import evaluate_bags
from napari_attmil.workflows.prepare import prepare_bags
from napari_attmil.workflows.steps import Progress, Stage
from napari_attmil.workflows.study import Study
from napari_attmil.workflows.train import train_on_bags

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_attmil.bags import Bag, Classifier, Prediction
    from napari_attmil.core import Device
    from napari_attmil.images import Sample

FOLDS = 3
ENSEMBLE = EnsembleSettings(members=3, folds=2)
"""Smaller than the default, to shorten the demo to two fifths of the time."""
SHOWN_CLASS = "sickle"
"""The simulated class that is easiest to recognise, so that newcomers see the result at once."""
SIMULATION = SimulationSettings(
    patients_per_class=7,
    samples_per_patient=1,
    images_per_sample=3,
    image_size_px=400,
    cells_per_image=26,
    altered_share=0.2,
    variety=0.3,
)
MODEL_NAME = "classifier.safetensors"


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The result of the demo, for display in a window.

    Attributes
    ----------
    cohort
        All samples.
    sample, bag
        The sample that is shown, and its cells.
    prediction
        Its prediction; None if the cohort has fewer than two classes.
    classifier, classifier_path
        The classifier and its file; None likewise.
    """

    cohort: Cohort
    sample: Sample
    bag: Bag
    prediction: Prediction | None
    classifier: Classifier | None
    classifier_path: Path | None


def run_demo(data: Path | None, out: Path, device_name: str) -> Stage[DemoResult]:
    """Run all stages and write ``cells.csv``, the model, and a report as JSON, Markdown and HTML.

    One patient is excluded from all training, and is the one that is shown.

    Parameters
    ----------
    data
        A cohort of the user's own, or a folder of images; None simulates one.
    out
        Folder for the results.
    device_name
        As for `choose_device`.

    Raises
    ------
    UserError
        If the images cannot be used, or the folder cannot be written.
    """
    check_writable(out / "report.json")
    cohort = open_cohort(data) if data is not None else (yield from _simulated(out / "cohort"))
    yield from _notes(cohort.notes)
    study = replace(Study.of(cohort), store_folder=out / "features")
    yield Progress(0, 0, "Loading the detector")
    detector = study.detector(device_name)
    features = features_for(MILSettings())
    bags = yield from prepare_bags(study, detector, DetectionSettings(), features)
    shown, learnt_from, note = _with_one_patient_left_out(bags)
    yield from _notes([note])
    classifier = yield from _trained(learnt_from, detector.device, out)
    sample = next(sample for sample in cohort.samples if sample.name == shown.sample)
    prediction = None if classifier is None else classifier.classify(shown)
    yield from _notes(_write_results(sample, shown, classifier, prediction, out))
    path = None if classifier is None else out / MODEL_NAME
    return DemoResult(cohort, sample, shown, prediction, classifier, path)


def _notes(sentences: Iterable[str]) -> Stage[None]:
    for sentence in sentences:
        yield Progress(0, 0, "", note=sentence)


def _simulated(folder: Path) -> Stage[Cohort]:
    yield from simulate_cohort(folder, SIMULATION)
    return open_cohort(folder)


def _with_one_patient_left_out(bags: Sequence[Bag]) -> tuple[Bag, list[Bag], str]:
    """Return the bag to show, the training bags, which are of other patients, and a note."""
    patients = _patients_by_class(bags)
    spare = [label for label, names in patients.items() if len(names) > 1]
    if not spare:
        note = "No class has a second patient, so the sample that is shown was also learnt from."
        return bags[0], list(bags), note
    label = SHOWN_CLASS if SHOWN_CLASS in spare else spare[-1]
    patient = sorted(patients[label])[0]
    shown = next(bag for bag in bags if bag.patient == patient and bag.label == label)
    note = f"Patient {patient} is kept out of all that is learnt, and is the one that is shown."
    return shown, [bag for bag in bags if bag.patient != patient], note


def _patients_by_class(bags: Sequence[Bag]) -> dict[str, set[str]]:
    patients: dict[str, set[str]] = defaultdict(set)
    for bag in bags:
        if bag.label is not None:
            patients[bag.label].add(bag.patient)
    return dict(sorted(patients.items()))


def _trained(bags: Sequence[Bag], device: Device, out: Path) -> Stage[Classifier | None]:
    """Cross-validate if there are enough patients, then train on all bags and save the model."""
    from napari_attmil.evaluation import markdown

    patients = _patients_by_class(bags)
    if len(patients) < 2:
        none = "A classifier needs two classes of samples, so none was trained"
        yield from _notes([f"{none}: cells are found and shown, but nothing is classified."])
        return None
    settings = MILSettings()
    if min(map(len, patients.values())) >= FOLDS:
        plan = EvaluationSettings(folds=FOLDS, runs=1, methods=(settings.method,), ensemble=False)
        report = yield from evaluate_bags(bags, settings, plan, ENSEMBLE, device, out)
        yield from _notes([markdown(report)])
    else:
        few = f"Cross-validation needs {FOLDS} patients of each class, so it was left out."
        yield from _notes([few])
    trained = yield from train_on_bags(bags, settings, ENSEMBLE, device)
    if trained is None or not trained[1]:
        raise KeyboardInterrupt  # The demo shows no half-trained classifier.
    classifier, _ = trained
    classifier.save(out / MODEL_NAME)
    return classifier


def _write_results(
    sample: Sample,
    bag: Bag,
    classifier: Classifier | None,
    prediction: Prediction | None,
    out: Path,
) -> list[str]:
    """Write the shown sample's cells, add its prediction to the report, and return notes on it."""
    from napari_attmil.explore import (
        cell_table,
        classification_report,
        in_words,
        model_origin,
        write_cells,
    )

    assert bag.boxes is not None  # bags of images always have them
    write_cells(out / "cells.csv", [cell_table(sample, bag.boxes, prediction)])
    path, notes = out / "report.json", []
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if classifier is not None and prediction is not None:
        origin = model_origin(classifier, MODEL_NAME)
        report["shown"] = classification_report([prediction], origin) | {"label": sample.label}
        share = max(prediction.probabilities)
        notes = [
            f"{sample.name}: {prediction.predicted} {share:.0%}. {in_words(prediction)}.",
            f"{prediction.note} {CAUTION}".strip(),
        ]
    write_json(path, report)
    return notes
