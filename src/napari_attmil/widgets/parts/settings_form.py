"""A form made from settings: titles become labels, descriptions tooltips, bounds limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from qtpy.QtCore import QMetaProperty, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.core import FieldSpec, FormPlace, Settings
from napari_attmil.widgets.parts.layouts import row
from napari_attmil.widgets.parts.step_frame import Fold
from napari_attmil.widgets.parts.style import narrow_combo

Field = QCheckBox | QComboBox | QSpinBox | QDoubleSpinBox | QLineEdit
S = TypeVar("S", bound=Settings)

EMPTY_TEXT: Final = "automatic"
"""What an empty optional number or an empty text shows."""
FOLDS: Final = {FormPlace.MORE: "More settings", FormPlace.RESEARCH: "Research settings"}
UNBOUNDED: Final = 1_000_000


class SettingsForm(QWidget):
    """Edits settings: shows each field where the field itself says.

    Parameters
    ----------
    *models
        Classes of settings; no two have a field of the same name.
    above
        Controls of the panel's own, by label, shown above the fields.
    more
        The same, above the fields of "More settings".
    beside
        Controls of the panel's own, by the name of the field that they stand beside.

    Signals
    -------
    valueChanged()
        A field has changed, by hand or by `setValue`.
    """

    valueChanged = Signal()

    def __init__(
        self,
        *models: type[Settings],
        above: Mapping[str, QWidget] | None = None,
        more: Mapping[str, QWidget] | None = None,
        beside: Mapping[str, QWidget] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._specs = {
            name: FieldSpec.of(model, name) for model in models for name in model.model_fields
        }
        self._fields = {name: _make_field(spec) for name, spec in self._specs.items()}
        self._beside = dict(beside or {})

        first, of_more = self._rows(FormPlace.FIRST, above), self._rows(FormPlace.MORE, more)
        rows = {FormPlace.MORE: of_more, FormPlace.RESEARCH: self._rows(FormPlace.RESEARCH)}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(first)
        for form_place, title in FOLDS.items():
            folded = QWidget()
            folded.setLayout(rows[form_place])
            fold = Fold(title, folded)
            fold.setVisible(folded.layout().count() > 0)
            layout.addWidget(fold)

        for field in self._fields.values():
            _changed(field).connect(self.valueChanged)

        for model in models:
            self.setValue(model())

    def value(self, model: type[S]) -> S:
        """Return the settings of one model as the form shows them.

        Raises
        ------
        UserError
            If they do not go together.
        """
        return model.checked(**{name: _read(self._fields[name]) for name in model.model_fields})

    def setValue(self, settings: Settings) -> None:
        """Show settings."""
        for name in type(settings).model_fields:
            _write(self._fields[name], getattr(settings, name))

    def field(self, name: str) -> Field:
        """Return the control of one field."""
        return self._fields[name]

    def _rows(self, place: FormPlace, above: Mapping[str, QWidget] | None = None) -> QFormLayout:
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, control in (above or {}).items():
            rows.addRow(title, control)
        for name, spec in self._specs.items():
            if spec.place is place:
                label = QLabel(spec.title)
                label.setToolTip(spec.description)
                label.setBuddy(self._fields[name])
                rows.addRow(label, self._with_neighbour(name))
        return rows

    def _with_neighbour(self, name: str) -> QWidget:
        """Return a field, in a row with what stands beside it."""
        field = self._fields[name]
        if name not in self._beside:
            return field
        pair = QWidget()
        row((field, 1), self._beside[name], within=pair, margin_px=0)
        return pair


def _make_field(spec: FieldSpec) -> Field:
    field: Field
    if spec.choices:
        field = narrow_combo(spec.description)
        field.addItems(spec.choices)
    elif spec.kind is bool:
        field = QCheckBox()
    elif spec.kind is int:
        field = QSpinBox()
        field.setRange(*map(int, _range(spec)))
    elif spec.kind is float:
        field = QDoubleSpinBox()
        _set_range(field, spec)
    elif spec.kind is str:
        field = QLineEdit()
        field.setPlaceholderText(EMPTY_TEXT)
    else:
        raise TypeError(f"There is no control for a setting of type {spec.kind!r}.")
    field.setProperty("optional", spec.optional)
    field.setToolTip(spec.description)
    return field


def _range(spec: FieldSpec) -> tuple[float, float]:
    """Return the lowest and the highest value that a control lets through."""
    inside = 10**-spec.decimals
    low = spec.ge if spec.gt is None else spec.gt + inside
    high = spec.le if spec.lt is None else spec.lt - inside
    return low or 0, UNBOUNDED if high is None else high


def _set_range(field: QDoubleSpinBox, spec: FieldSpec) -> None:
    low, high = _range(spec)
    field.setDecimals(spec.decimals)
    step = 10 ** -min(spec.decimals, 2) * (5 if high <= 1 else 100)
    field.setSingleStep(step)
    # The lowest position of an optional number means "none": one step below its bound.
    field.setRange(low - (step if spec.optional else 0), high)
    if spec.optional:
        field.setSpecialValueText(EMPTY_TEXT)


def _value_of(field: Field) -> QMetaProperty:
    """Return the property that a person edits: text, value, or whether it is ticked."""
    return field.metaObject().userProperty()


def _changed(field: Field) -> Any:
    return getattr(field, _value_of(field).notifySignal().name().data().decode())


def _read(field: Field) -> Any:
    value = _value_of(field).read(field)
    if isinstance(value, str):
        return value.strip()
    return None if field.property("optional") and value == field.minimum() else value


def _write(field: Field, value: Any) -> None:
    _value_of(field).write(field, field.minimum() if value is None else value)
