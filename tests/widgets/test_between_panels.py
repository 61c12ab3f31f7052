"""What leads from panel to panel, and what all of them say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.pages.page import Page

from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.detector.panel import DetectorPanel
from napari_attmil.widgets.dock_panel import DockPanel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image
    from pytestqt.qtbot import QtBot


@pytest.fixture
def open_panel(
    window_viewer: Any, stack: Image, fakes: None, qtbot: QtBot
) -> Iterator[Callable[[str], Any]]:
    """Return a function that opens a panel in a window that is shown."""
    window_viewer.add_layer(stack)
    window_viewer.window.show()
    names: list[str] = []

    def open_it(name: str) -> Any:
        _, panel = window_viewer.window.add_plugin_dock_widget("napari-attmil", name)
        names.append(name)
        qtbot.waitUntil(panel.isVisible)
        return panel

    yield open_it
    for panel in window_viewer.window.dock_widgets.values():
        if isinstance(panel, DockPanel):
            panel.close_panel()


def test_annotating_and_training_the_detector_lead_to_each_other(
    open_panel: Callable[[str], Any], window_viewer: Any, qtbot: QtBot
) -> None:
    annotate = open_panel("Annotate cells")
    assert isinstance(annotate, AnnotateWidget)
    Page(annotate).press("Train detector…")
    panels = window_viewer.window.dock_widgets.values()
    (detector,) = (panel for panel in panels if isinstance(panel, DetectorPanel))
    qtbot.waitUntil(lambda: is_seen(detector) and not is_seen(annotate))  # They are tabs.
    Page(detector).press("Annotate…")
    qtbot.waitUntil(lambda: is_seen(annotate) and not is_seen(detector))


def is_seen(panel: DockPanel) -> bool:
    """Tell whether a panel is in front; Qt counts those behind it as visible too."""
    return not panel.visibleRegion().isEmpty()


def test_undo_says_what_it_did_in_the_panel_and_nothing_moves(
    open_panel: Callable[[str], Any], notifications: list[tuple[str, str]]
) -> None:
    panel = open_panel("Classify samples")
    assert isinstance(panel, AttentionMILWidget)
    page, session = Page(panel.cells_step), panel.context.session
    session.editor.add(0, [10, 10, 30, 30])
    undo = page.button("Undo")
    place = undo.mapToGlobal(undo.rect().center())
    page.press("Undo")
    assert page.text("counts").endswith("\nDraw 1 box, image 1: taken back")
    assert undo.mapToGlobal(undo.rect().center()) == place
    panel.context.undo()
    assert page.text("counts").endswith("\nThere is nothing to take back.")
    session.editor.add(0, [10, 10, 30, 30])
    assert "taken back" not in page.text("counts") and notifications == []


def test_undo_is_told_by_napari_where_no_panel_can_be_seen(
    open_panel: Callable[[str], Any], notifications: list[tuple[str, str]]
) -> None:
    panel = open_panel("Annotate cells")
    panel.dock().hide()
    panel.context.undo()
    assert notifications == [("info", "There is nothing to take back.")]
    panel.dock().show()
    panel.context.redo()
    assert Page(panel).text("looks") == "Nothing was taken back that could be made again."
    assert len(notifications) == 1


def test_samples_without_a_common_patient_are_cautioned_about_beside_the_training(
    panel: AttentionMILWidget, tmp_path: Any
) -> None:
    from napari_attmil.images.cohort import Cohort, Sample

    page = Page(panel.classifier_step)
    samples = [Sample(name, name, label, ()) for name, label in (("a", "x"), ("b", "y"))]
    panel.context.session.open_cohort(Cohort(tuple(samples), tmp_path))
    assert page.shows("caution")
    same = [*samples, Sample("c", "a", "x", ())]
    panel.context.session.open_cohort(Cohort(tuple(same), tmp_path))
    assert not page.shows("caution")
    panel.context.session.open_cohort(Cohort((Sample("a", "a", None, ()),), tmp_path))
    assert not page.shows("caution")
