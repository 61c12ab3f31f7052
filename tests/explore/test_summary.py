from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_attmil.bags.certainty import Certainty
from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.prediction import Prediction
from napari_attmil.bags.settings import MILSettings
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.device import Device
from napari_attmil.core.words import CAUTION
from napari_attmil.explore.summary import classification_report, in_words, model_origin

PREDICTION = Prediction(
    sample="s1",
    classes=("healthy", "sickle", "thalassemia"),
    probabilities=np.array([0.3, 0.6, 0.1], np.float32),
    cell_id=np.array([4, 7, 9, 11]),
    attention=np.array([0.5, 0, 0.5, 0], np.float32),
    contribution=np.zeros((4, 3), np.float32),
    member_probabilities=np.array([[0.2, 0.7, 0.1], [0.5, 0.4, 0.1]], np.float32),
    prediction_set=("sickle",),
    coverage=0.9,
    note="Few patients.",
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "1 of 2 models agree · all but sickle ruled out at 90%"),
        (
            {"prediction_set": ("sickle", "healthy")},
            "Undecided: sickle and healthy cannot be ruled out at 90% "
            "· 1 of 2 models favour sickle",
        ),
        (
            {"prediction_set": ("sickle", "healthy", "thalassemia"), "coverage": 0.975},
            "Undecided: no class can be ruled out at 97.5% · 1 of 2 models favour sickle",
        ),
        ({"prediction_set": None, "coverage": None}, "1 of 2 models agree"),
        ({"member_probabilities": np.array([[0.3, 0.6, 0.1]])}, "all but sickle ruled out at 90%"),
        ({"member_probabilities": np.empty((0, 3)), "prediction_set": None}, ""),
    ],
)
def test_certainty_is_said_in_words(change: dict[str, object], sentence: str) -> None:
    assert in_words(replace(PREDICTION, **change)) == sentence  # type: ignore[arg-type]


def test_report_says_which_frequencies_of_classes_it_rests_on() -> None:
    even = replace(PREDICTION, assumed=dict.fromkeys(PREDICTION.classes, 1 / 3))
    rare = even.with_prior({"healthy": 8, "sickle": 1, "thalassemia": 1})
    first, second, unknown = (
        classification_report([one], {})["samples"][0]["class_frequencies"]
        for one in (even, rare, PREDICTION)
    )
    assert first == {
        "taken": dict.fromkeys(PREDICTION.classes, 0.333333),
        "given": False,
        "in_words": "All classes are taken to be equally frequent.",
    }
    assert second["taken"] == {"healthy": 0.8, "sickle": 0.1, "thalassemia": 0.1}
    assert second["given"] and "as given: healthy 80%" in second["in_words"]
    assert unknown == {"taken": None, "given": False, "in_words": ""}


def test_report_holds_all_that_is_known_of_a_classification() -> None:
    device = Device("cpu", "float32", "processor")
    model = new_model(PREDICTION.classes, MILSettings(), device, channels=8)
    classifier = Classifier(
        (model,), PREDICTION.classes, "digest", FeatureSettings(), Certainty(), {"patients": 5}
    )
    origin = model_origin(classifier, "m.safetensors")
    report = json.loads(json.dumps(classification_report([PREDICTION], origin)))
    assert report["caution"] == CAUTION
    expected = {"file": "m.safetensors", "features_digest": "digest", "models": 1, "patients": 5}
    assert expected.items() <= report["model"].items()
    assert report["model"]["certainty"]["least_probability"] is None
    (sample,) = report["samples"]
    assert sample.pop("top_cells")[0] == {"cell_id": 4, "attention": 0.5}
    assert sample == {
        "sample": "s1",
        "predicted": "sickle",
        "probabilities": {"healthy": 0.3, "sickle": 0.6, "thalassemia": 0.1},
        "model_probabilities": [
            {"healthy": 0.2, "sickle": 0.7, "thalassemia": 0.1},
            {"healthy": 0.5, "sickle": 0.4, "thalassemia": 0.1},
        ],
        "class_frequencies": {"taken": None, "given": False, "in_words": ""},
        "models_agreeing": 1,
        "prediction_set": ["sickle"],
        "coverage": 0.9,
        "abstains": False,
        "in_words": "1 of 2 models agree · all but sickle ruled out at 90%",
        "certainty_note": "Few patients.",
        "was_trained_on": False,
        "held_out_probabilities": None,
        "cells": 4,
        "effective_cells": 2.0,
    }
