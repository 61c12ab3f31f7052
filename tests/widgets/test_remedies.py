"""Every mistake says what to do, and every remedy has its button in the window."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.pages.page import Page

import napari_attmil
from napari_attmil.core import Remedy, UserError
from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.context import HOMES
from napari_attmil.widgets.detector.panel import DetectorPanel
from napari_attmil.widgets.explorer.panel import ExploreWidget
from napari_attmil.widgets.parts import tell_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel

    from napari_attmil.widgets.dock_panel import DockPanel

SOURCE = Path(napari_attmil.__file__).parent
WHERE_THE_MISTAKE_WAS_MADE = {Remedy.TRY_AGAIN, Remedy.SAVE_ELSEWHERE}
TITLES = {
    AttentionMILWidget: "Classify samples",
    AnnotateWidget: "Annotate cells",
    DetectorPanel: "Train detector",
    ExploreWidget: "Explore cells",
}
PYDANTIC_SAYS_WHAT_IS_ALLOWED = "core/settings.py"
VERBS = """
    add allow ask check choose classify close compare complete compute copy correct cut delete
    detect draw end export fill finish free give import install leave let look lower make mark mend
    name open part permit prepare put rename restore resume review run save spread start train try
    update use write remedy _remedy
"""


def mistakes() -> Iterator[tuple[str, str]]:
    """Yield place and text of every mistake of the source, as far as it is written there."""
    paths = sorted(SOURCE.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    named = {
        target.id: node.value
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Name) and target.id.isupper()
    }
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError":
                text = node.args[0]
                if isinstance(text, ast.Subscript):
                    continue  # another mistake's text
                names = [each.id for each in ast.walk(text) if isinstance(each, ast.Name)]
                written = [text, *(named[name] for name in names if name in named)]
                parts = [getattr(each, "value", "") for part in written for each in ast.walk(part)]
                words = " ".join(part for part in (*parts, *names) if isinstance(part, str))
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", words


def test_every_mistake_says_what_to_do() -> None:
    told = re.compile(rf"\b({'|'.join(VERBS.split())})\b", re.IGNORECASE)
    texts = dict(mistakes())
    assert len(texts) > 100
    silent = {place for place, text in texts.items() if not told.search(text)}
    assert {place.split(":")[0] for place in silent} == {PYDANTIC_SAYS_WHAT_IS_ALLOWED}, silent


@pytest.fixture
def panels(viewer: ViewerModel, fakes: None) -> Iterator[list[DockPanel]]:
    panels = [make(viewer) for make in TITLES]
    yield panels
    for panel in panels:
        panel.close_panel()
        panel.deleteLater()


def test_every_remedy_has_an_action_in_the_panel_that_is_opened_for_it(
    panels: list[DockPanel],
) -> None:
    offered = {(remedy, TITLES[type(panel)]) for panel in panels for remedy in panel.remedies()}
    assert offered == set(HOMES.items())
    assert set(HOMES) == set(Remedy) - WHERE_THE_MISTAKE_WAS_MADE


def test_a_remedy_opens_its_panel(
    window_viewer: Any, make_explorer: Callable[[Any], ExploreWidget]
) -> None:
    explorer = make_explorer(window_viewer)
    tell_error(explorer, UserError("No image is reviewed; review some.", Remedy.REVIEW_IMAGES))
    Page(explorer).press("Annotate cells")
    (annotate,) = explorer.window().findChildren(AnnotateWidget)
    assert annotate.dock().windowTitle().startswith("Annotate cells")
    annotate.close_panel()
