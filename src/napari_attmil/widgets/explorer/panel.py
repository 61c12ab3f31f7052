"""The dock widget "Explore cells": the cells that decided, and how certain the result is."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.explorer.below_images import HEIGHT_PX, BelowImages
from napari_attmil.widgets.explorer.scope_bar import ScopeBar
from napari_attmil.widgets.explorer.tabs import (
    AskTab,
    CohortTab,
    ColoursTab,
    ExplorerTab,
    GalleryTab,
    MapTab,
    SampleTab,
    ShapeTab,
    TableTab,
    TeachingTab,
)
from napari_attmil.widgets.parts import begin, column, pause_timer, scrolling


class ExploreWidget(DockPanel):
    """Tabs that look at the cells of a sample or a cohort from several sides.

    Parameters
    ----------
    napari_viewer
        The viewer it works on.
    """

    title = "Explore cells"
    glossary_word = "contribution"
    _was_placed = True  # while it is being made

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self._place_timer = pause_timer(self._go_below, parent=self)
        self._was_placed = False

    def _lay_out(self) -> None:
        column(self.scope_bar, (self.tabs, 1), within=self, margin_px=0, spacing_px=2)

    def _create(self) -> None:
        self.scope_bar = ScopeBar(self.context)
        self.colours = ColoursTab(self.context)
        self.gallery = GalleryTab(self.context)
        self.table = TableTab(self.context)
        self.sample = SampleTab(self.context)
        self.map = MapTab(self.context)
        self.shape = ShapeTab(self.context)
        self.cohort = CohortTab(self.context)
        self.asking = AskTab(self.context)
        self.teaching = TeachingTab(self.context)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for title, tip, tab in self._named_tabs():
            # A tab that needs more room scrolls, and does not enlarge the window.
            self.tabs.setTabToolTip(self.tabs.addTab(scrolling(tab), title), tip)

        # A note on what is done would leave a low panel no room for what is looked at next.
        self.tabs.currentChanged.connect(lambda _: begin(self))

    def show_tab(self, tab: ExplorerTab) -> None:
        """Bring a tab to the front."""
        tabs = [each for _, _, each in self._named_tabs()]
        self.tabs.setCurrentIndex(tabs.index(tab))

    def _named_tabs(self) -> tuple[tuple[str, str, ExplorerTab], ...]:
        return (
            ("Colours", "What the boxes are coloured by.", self.colours),
            ("Gallery", "Cells side by side, in any order.", self.gallery),
            ("Table", "Every cell as a row of numbers.", self.table),
            ("Sample", "The prediction, and what it would be without some cells.", self.sample),
            ("Map", "Similar cells lie close together; draw a line around some.", self.map),
            ("Shape", "Do cells of high attention look different?", self.shape),
            ("Cohort", "All samples: which are right, which wrong.", self.cohort),
            ("Ask", "Say what single cells are: the classifier learns from it.", self.asking),
            ("Teach", "Pick cells without the model's colours, then compare.", self.teaching),
        )

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the images above."""
        return QSize(900, HEIGHT_PX)

    def event(self, event: QEvent) -> bool:
        """Go below the images once: napari docks all plugins at the right."""
        if event.type() == QEvent.Type.ParentChange and not self._was_placed:
            self._was_placed = True
            self._place_timer.start()
        return super().event(event)

    def _join_others(self) -> None:
        """Stay alone: it goes below the images, where rows of cells have their width."""

    def _go_below(self) -> None:
        dock, window = self.dock(), self.window()
        if dock is None or not isinstance(window, QMainWindow):
            return
        BelowImages(dock, window, self)
        # While it was at the right, it has widened what stands there.
        right = Qt.DockWidgetArea.RightDockWidgetArea
        others = [d for d in window.findChildren(QDockWidget) if window.dockWidgetArea(d) == right]
        widths = [other.widget().sizeHint().width() for other in others]
        window.resizeDocks(others, widths, Qt.Orientation.Horizontal)
