"""A classifier that looks at some of a sample's cells: the others are neither lost nor mixed up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from support.bags import cpu, small
from support.quarters import image_of

from napari_attmil.bags import attribution
from napari_attmil.bags.certainty import Certainty
from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.cells import DetectionSettings, FeatureSettings
from napari_attmil.core import finished
from napari_attmil.explore import cell_table
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.session.sample_state import SampleState
from napari_attmil.workflows.cell import asked_cell, look_at_cell
from napari_attmil.workflows.classify import classify_sample, classify_study
from napari_attmil.workflows.measure import map_cells, prepare_removal
from napari_attmil.workflows.prepare import CellsAtHand, prepare_bags
from napari_attmil.workflows.study import Study

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags import Bag, MILSettings
    from napari_attmil.core import Device
    from napari_attmil.workflows.classify import ClassifiedSample

__all__ = ["cpu", "small"]

GREYS = {"one": (50, 60, 80, 70), "two": (60, 81, 61, 80)}
"""Of the cells 1 to 4 of each sample. Cells 2 and 3 are drawn, by their ids alone."""
ALL, DRAWN, IS_DRAWN = [1, 2, 3, 4], [2, 3], [False, True, True, False]


@pytest.fixture
def study(tmp_path: Path, detector: Any, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(Study, "detector", lambda *_: detector)
    samples = []
    for name, greys in GREYS.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, image_of(dict(enumerate(greys))))
        samples.append(Sample(name, f"patient of {name}", "healthy", (Frame(path),)))
    return Study.of(Cohort(tuple(samples), tmp_path))


@pytest.fixture
def classifier(small: MILSettings, cpu: Device) -> Classifier:
    classes = ("healthy", "sickle")
    model, drawing = new_model(classes, small, cpu, channels=8), FeatureSettings(most_cells=2)
    bounds = Certainty(1.0, 0.9, (0.2, 0.3), (12, 9), (True, True), "", (0.0, 0.0))
    return Classifier((model,), classes, "fake", drawing, bounds)


@pytest.fixture
def found(study: Study, classifier: Classifier) -> list[ClassifiedSample]:
    return finished(classify_study(study, classifier, DetectionSettings(), "cpu"))


@pytest.fixture
def greys_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedding of a cell be its grey value."""

    def greys(classifier: Classifier, bag: Bag) -> Any:
        return bag.features[:, :2, 0, 0].astype(np.float32) * np.array([1, 0], np.float32)

    monkeypatch.setattr(attribution, "cell_embeddings", greys)


def at_hand(one: ClassifiedSample) -> CellsAtHand:
    return CellsAtHand(one.sample, one.boxes)


def test_a_classified_sample_has_all_its_cells_and_a_prediction_of_the_drawn(
    study: Study, classifier: Classifier, found: list[ClassifiedSample]
) -> None:
    for one in found:
        alone = finished(classify_sample(study, at_hand(one), classifier, "cpu"))
        assert alone is not None
        for each in (one, alone):
            assert each.boxes.cell_id.tolist() == ALL
            assert each.prediction.cell_id.tolist() == DRAWN
            table = cell_table(each.sample, each.boxes, each.prediction)
            assert table["attention"].notna().tolist() == IS_DRAWN


def test_a_sample_is_stale_only_once_its_cells_have_changed(
    found: list[ClassifiedSample],
) -> None:
    one = found[0]
    state = SampleState(boxes=one.boxes, prediction=one.prediction, classified=one.boxes)
    assert not state.is_stale
    assert np.isfinite(state.attention()).tolist() == IS_DRAWN
    assert replace(state, boxes=one.boxes[:3]).is_stale


def test_bags_say_which_cells_they_were_drawn_from(
    study: Study, classifier: Classifier, detector: Any
) -> None:
    settings = classifier.feature_settings
    for bag in finished(prepare_bags(study, detector, DetectionSettings(), settings)):
        assert bag.sample_boxes is not None and bag.boxes is not None
        assert bag.sample_boxes.cell_id.tolist() == ALL
        assert bag[:1].sample_boxes is bag.sample_boxes
        assert bag.boxes.cell_id.tolist() == bag.cell_id.tolist() == DRAWN


@pytest.mark.usefixtures("greys_embedded")
def test_a_map_places_the_drawn_cells_each_in_its_own_row(
    study: Study, classifier: Classifier, found: list[ClassifiedSample]
) -> None:
    cells = [at_hand(one) for one in found]
    measured = finished(map_cells(cells, study, classifier, "pca", "cpu"))
    one, two = (each.columns.to_numpy() for each in measured)
    for places in (one, two):
        assert np.isfinite(places).all(axis=1).tolist() == IS_DRAWN
    steps = np.abs(two[[1, 2], 0] - one[[1, 2], 0, np.newaxis])
    np.testing.assert_allclose(steps, [[81 - 60, 61 - 60], [81 - 80, 80 - 61]], atol=1e-4)


def test_removal_gives_each_drawn_cell_its_own_distance(
    study: Study,
    classifier: Classifier,
    found: list[ClassifiedSample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attribution.WhatIf, "distance_from_healthy", lambda _: np.array([1.5, 2.5]))
    one, score = found[0], np.array([0.4, 0.6])
    removal = finished(prepare_removal(study, at_hand(one), classifier, score, "cpu"))
    assert removal is not None and removal.curve.cell_id.tolist() == [3]
    np.testing.assert_array_equal(removal.distance_from_healthy, [np.nan, 1.5, 2.5, np.nan])


@pytest.mark.usefixtures("greys_embedded")
@pytest.mark.parametrize(("cell", "similar"), [(2, 3), (3, 2)])
def test_a_similar_cell_is_the_drawn_one_that_looks_like_it(
    study: Study, classifier: Classifier, found: list[ClassifiedSample], cell: int, similar: int
) -> None:
    asked = asked_cell(found, found[0].sample, cell)
    facts = finished(look_at_cell(asked, study, classifier, "cpu"))
    assert facts.cells == 2 and facts.without is not None
    assert [(each.sample, each.cell_id) for each in facts.similar] == [("two", similar)]


def test_a_cell_that_was_not_drawn_has_no_attention(
    study: Study, classifier: Classifier, found: list[ClassifiedSample]
) -> None:
    asked = asked_cell(found, found[0].sample, 4)
    facts = finished(look_at_cell(asked, study, classifier, "cpu"))
    assert facts.cell_id == 4 and facts.attention is None and not facts.similar
