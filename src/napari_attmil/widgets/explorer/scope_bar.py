"""The line above the tabs: the samples in scope, and a filter for their cells."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QLabel, QLineEdit

from napari_attmil.core import UserError, counted
from napari_attmil.explore import EXAMPLE
from napari_attmil.session import WHOLE_COHORT
from napari_attmil.widgets.explorer.tabs import ExplorerTab
from napari_attmil.widgets.parts import hint_label, narrow_combo, row


class ScopeBar(ExplorerTab):
    """Chooses the shown sample, a class or the whole cohort, and filters their cells."""

    def _create(self) -> None:
        self._scope = narrow_combo("The samples whose cells are examined.")
        self._filter = QLineEdit()
        self._filter.setPlaceholderText(f"all cells, or for instance {EXAMPLE}")
        self._filter.setClearButtonEnabled(True)
        self._filter.setToolTip(
            "Show only cells that meet these conditions in gallery, table and map; join several "
            "with 'and', then press Enter."
        )
        self._count = QLabel()
        self._hint = hint_label(name="hint")

    def _lay_out(self) -> None:
        scope, condition = (
            (QLabel("Cells of"), (self._scope, 1)),
            (QLabel("where"), (self._filter, 2)),
        )
        layout = row(*scope, *condition, self._count, (self._hint, 1), within=self)
        layout.setContentsMargins(6, 4, 6, 0)

    def _connect(self) -> None:
        exploration, session = self._context.exploration, self._context.session
        self._scope.activated.connect(self._on_scope)
        self._filter.editingFinished.connect(self._on_filter)
        self.listen(exploration.table_changed, self.invalidate)
        self.listen(session.sample_changed, self.invalidate)
        self.listen(session.cohort_changed, self._on_cohort)

    def refresh(self) -> None:
        """List the scopes, and count the cells in scope."""
        exploration = self._context.exploration
        with QSignalBlocker(self._scope):
            self._scope.clear()
            for text, scope in self._scopes():
                self._scope.addItem(text, scope)
            self._scope.setCurrentIndex(self._scope.findData(exploration.scope))
        shown, cells = len(exploration.rows), len(exploration.table)
        self._count.setText(
            counted(cells, "cell") if shown == cells else f"{shown} of {counted(cells, 'cell')}"
        )
        self._hint.setText(self._missing())
        self._hint.setVisible(bool(self._hint.text()))

    def _scopes(self) -> list[tuple[str, str]]:
        session = self._context.session
        shown = f"this sample ({session.sample.name})" if session.sample else "this sample"
        scopes = [(shown, "")]
        if session.cohort is not None:
            scopes.append(("all samples", WHOLE_COHORT))
            scopes += [(f"class {name}", name) for name in session.cohort.classes]
        return scopes

    def _missing(self) -> str:
        """Return what is still missing for the samples in scope."""
        exploration = self._context.exploration
        if not exploration.scope:
            return ""
        states = self._context.session.states_of_samples()
        classified = sum(
            sample.name in states and states[sample.name].prediction is not None
            for sample in exploration.samples
        )
        missing = len(exploration.samples) - classified
        return f"{counted(missing, 'sample')} not classified: see Cohort" if missing else ""

    def _on_scope(self) -> None:
        self._context.exploration.set_scope(str(self._scope.currentData()))

    def _on_cohort(self) -> None:
        self._filter.clear()

    def _on_filter(self) -> None:
        try:
            self._context.exploration.set_filter(self._filter.text())
        except UserError as error:
            self._hint.setText(str(error))
            self._hint.show()
