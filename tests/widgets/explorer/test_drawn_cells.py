"""Classifying a cohort with a classifier that looks at some of each sample's cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from support.bags import detector
from support.pages.card import CardPage
from support.pages.explorer import CohortPage, ExplorerPage
from support.predictions import FakeClassifier
from support.quarters import image_of

from napari_attmil.cells import FeatureSettings
from napari_attmil.images import Cohort, Frame, Sample
from napari_attmil.session import LoadedClassifier
from napari_attmil.workflows import Study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.explorer.panel import ExploreWidget

__all__ = ["detector"]


@pytest.fixture
def explorer(
    viewer: ViewerModel,
    make_explorer: Callable[[Any], ExploreWidget],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    detector: Any,
) -> ExploreWidget:
    """Open two samples of four cells each that nobody has searched."""
    monkeypatch.setattr(Study, "detector", lambda *_: detector)
    monkeypatch.setattr(FakeClassifier, "feature_settings", FeatureSettings(most_cells=2))
    samples = []
    for place, label in enumerate(("healthy", "sickle")):
        path = tmp_path / f"{label}.tif"
        tifffile.imwrite(path, image_of(dict.fromkeys(range(4), 50 + place)))
        samples.append(Sample(label, f"patient {place}", label, (Frame(path),)))
    explorer = make_explorer(viewer)
    explorer.context.image_choice.use_cohort(Cohort(tuple(samples), tmp_path))
    explorer.context.session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    return explorer


@pytest.fixture
def tab(explorer: ExploreWidget, qtbot: QtBot) -> CohortPage:
    tab = ExplorerPage(explorer, qtbot).cohort
    tab.open()
    tab.classify_all()
    return tab


def test_all_cells_found_are_kept_and_samples_are_classified_once(
    explorer: ExploreWidget, tab: CohortPage, detector: Any
) -> None:
    session = explorer.context.session
    assert tab.table["cells"].tolist() == [4, 4]
    states = session.states_of_samples()
    for name in ("healthy", "sickle"):
        state = states[name]
        assert state.boxes.cell_id.tolist() == [1, 2, 3, 4] and state.searched == {0}
        assert state.prediction is not None and state.prediction.cell_id.tolist() == [2, 3]
        assert not state.is_stale
        assert np.isfinite(state.attention()).tolist() == [False, True, True, False]
    tab.classify_all()
    again = session.states_of_samples()
    assert all(again[name].prediction is states[name].prediction for name in states)


def test_the_card_of_a_cell_that_was_not_drawn_says_so(
    explorer: ExploreWidget, tab: CohortPage, qtbot: QtBot
) -> None:
    explorer.context.exploration.ask_about(("healthy", 4))
    card = CardPage(explorer, qtbot)
    assert card.text("missing").startswith("Not among the cells drawn")
    assert not card.offers("Classify sample")
