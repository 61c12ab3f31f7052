"""A form made from a settings model: titles become labels, descriptions tooltips, bounds limits."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
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

from napari_attmil.core import Settings
from napari_attmil.widgets.parts.step_frame import Fold

Field = QCheckBox | QComboBox | QSpinBox | QDoubleSpinBox | QLineEdit
LARGEST = 1_000_000


class SettingsForm(QWidget):
    """Edits one settings model.

    Parameters
    ----------
    model
        Class of the settings.
    main
        Fields that are always visible; the others are folded away.
    empty_text
        What an empty optional number or an empty text shows.
    more
        What the others are folded under.
    elsewhere
        Fields that are not shown, as the person sets them elsewhere.

    Signals
    -------
    valueChanged()
        The person, or `setValue`, has changed something.
    """

    valueChanged = Signal()

    def __init__(
        self,
        model: type[Settings],
        main: Sequence[str],
        empty_text: str = "automatic",
        more: str = "More settings",
        elsewhere: Sequence[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._fields = {
            name: _make_field(info, empty_text) for name, info in model.model_fields.items()
        }
        folded = QWidget()
        self._fold = Fold(more, folded)

        rest = [name for name in self._fields if name not in (*main, *elsewhere)]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._rows(main))
        folded.setLayout(self._rows(rest))
        layout.addWidget(self._fold)
        self._fold.setVisible(bool(rest))

        for field in self._fields.values():
            _changed(field).connect(self.valueChanged)

        self.setValue(model())

    def value(self) -> Settings:
        """Return the settings as the form shows them.

        Raises
        ------
        UserError
            If they do not go together.
        """
        return self._model.checked(**{name: _read(field) for name, field in self._fields.items()})

    def setValue(self, settings: Settings) -> None:
        """Show settings."""
        for name, field in self._fields.items():
            _write(field, getattr(settings, name))

    def field(self, name: str) -> Field:
        """Return the control of one field."""
        return self._fields[name]

    def _rows(self, names: Sequence[str]) -> QFormLayout:
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in names:
            info = self._model.model_fields[name]
            label = QLabel(info.title or name)
            label.setToolTip(info.description or "")
            label.setBuddy(self._fields[name])
            rows.addRow(label, self._fields[name])
        return rows


def _make_field(info: FieldInfo, empty_text: str) -> Field:
    kind, optional = _kind(info.annotation)
    field: Field
    if get_origin(kind) is Literal:
        field = QComboBox()
        field.addItems([str(choice) for choice in get_args(kind)])
    elif kind is bool:
        field = QCheckBox()
    elif kind is int:
        field = QSpinBox()
        low, high = _bounds(info)
        field.setRange(int(low), int(high))
    elif kind is float:
        field = QDoubleSpinBox()
        low, high = _bounds(info)
        field.setDecimals(_decimals(info))
        step = 10 ** -min(_decimals(info), 2) * (5 if high <= 1 else 100)
        field.setSingleStep(step)
        # The lowest position of an optional number means "none": one step below its bound.
        field.setRange(low - (step if optional else 0), high)
        if optional:
            field.setSpecialValueText(empty_text)
    elif kind is str:
        field = QLineEdit()
        field.setPlaceholderText(empty_text)
    else:
        raise TypeError(f"There is no control for a setting of type {kind!r}.")
    field.setProperty("optional", optional)
    field.setToolTip(info.description or "")
    return field


def _kind(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a field without None, and whether None is allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return parts[0], len(parts) < len(get_args(annotation))
    return annotation, False


def _bounds(info: FieldInfo) -> tuple[float, float]:
    low, high = 0.0, float(LARGEST)
    for rule in info.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = float(rule.ge)  # type: ignore[arg-type]
        elif isinstance(rule, annotated_types.Gt):
            low = float(rule.gt) + 10 ** -_decimals(info)  # type: ignore[arg-type]
        elif isinstance(rule, annotated_types.Le):
            high = float(rule.le)  # type: ignore[arg-type]
        elif isinstance(rule, annotated_types.Lt):
            high = float(rule.lt) - 10 ** -_decimals(info)  # type: ignore[arg-type]
    return low, high


def _decimals(info: FieldInfo) -> int:
    """Return one decimal more than the default value has, and two at least, if none are asked for.

    So a value ten times smaller, as a preset may have it, is shown exactly too. A setting that
    presets have smaller still says its decimals itself.
    """
    default, asked = info.default, info.json_schema_extra
    if isinstance(asked, dict) and "decimals" in asked:
        return int(str(asked["decimals"]))
    if not isinstance(default, float):
        return 1
    if default >= 10:
        return 1
    text = f"{default:.8f}".rstrip("0")
    return max(2, len(text.split(".")[1]) + 1)


def _changed(field: Field) -> Any:
    if isinstance(field, QCheckBox):
        return field.toggled
    if isinstance(field, QComboBox):
        return field.currentIndexChanged
    if isinstance(field, QLineEdit):
        return field.textChanged
    return field.valueChanged


def _read(field: Field) -> Any:
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QComboBox):
        return field.currentText()
    if isinstance(field, QLineEdit):
        return field.text().strip()
    if field.property("optional") and field.value() == field.minimum():
        return None
    return field.value()


def _write(field: Field, value: Any) -> None:
    if isinstance(field, QCheckBox):
        field.setChecked(value)
    elif isinstance(field, QComboBox):
        field.setCurrentText(str(value))
    elif isinstance(field, QLineEdit):
        field.setText(value)
    elif isinstance(field, QSpinBox):
        field.setValue(int(value))
    else:
        field.setValue(field.minimum() if value is None else float(value))
