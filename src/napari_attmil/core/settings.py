"""The base of all settings; forms, command-line options and saved runs are built from them.

Each field has a title, a docstring that describes it with its unit, and bounds. `FieldSpec` reads
them, so that a control in a form and an option of a command say and accept the same.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from enum import Enum, auto
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

LARGEST_SEED: Final = 2**31 - 1
"""Scikit-learn takes no seed of 2**32 or more, and forms take no integer above this."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, title="Seed")]


class FormPlace(Enum):
    """Where a form shows a field."""

    FIRST = auto()
    """Always visible."""
    MORE = auto()
    """Under "More settings"; a field that does not say otherwise is there."""
    RESEARCH = auto()
    """Under "Research settings", which only people who study the method change."""
    ELSEWHERE = auto()
    """Not in the form: the panel has a control of its own for it."""


T = TypeVar("T")
ShownFirst = Annotated[T, FormPlace.FIRST]
ForResearch = Annotated[T, FormPlace.RESEARCH]
ShownElsewhere = Annotated[T, FormPlace.ELSEWHERE]


class Settings(BaseModel):
    """Immutable settings that refuse unknown names and values out of range."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Make each field's docstring one line, as tooltips and help texts need it."""
        for field in cls.model_fields.values():
            field.description = " ".join((field.description or "").split())

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated like new ones.

        Raises
        ------
        UserError
            If a name is unknown or a value is out of range.
        """
        return type(self).checked(**(self.model_dump() | changes))

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build settings, turning the first validation error into one clear sentence."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or cls.__name__
            field = cls.model_fields.get(name)
            title = f"{field.title} ({name})" if field is not None and field.title else name
            raise UserError(
                f"{title} was given {first.get('input')!r}: {first['msg'].lower()}."
            ) from None


@dataclass(frozen=True)
class FieldSpec:
    """What a form and the command line need to know about one field of some settings.

    Attributes
    ----------
    title, description
        What the field is called, and one or more sentences about it.
    kind
        Type of its values other than None.
    optional
        Whether it may be None.
    choices
        The values of a field that has only some; empty if it may have any.
    low, high
        Bounds, if there are any.
    low_open, high_open
        Whether a bound itself is out of range.
    decimals
        How many decimals of a number are shown.
    place
        Where a form shows it.
    """

    title: str
    description: str
    kind: Any
    optional: bool
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    low_open: bool
    high_open: bool
    decimals: int
    place: FormPlace

    @classmethod
    def of(cls, model: type[Settings], name: str) -> FieldSpec:
        """Read the field of a model."""
        info = model.model_fields[name]
        kind, optional = _without_none(info.annotation)
        is_literal = get_origin(kind) is Literal
        bounds = {type(rule): rule for rule in info.metadata}
        low, low_open = _bound(bounds, annotated_types.Ge, annotated_types.Gt)
        high, high_open = _bound(bounds, annotated_types.Le, annotated_types.Lt)
        return cls(
            title=info.title or name,
            description=info.description or "",
            kind=str if is_literal else kind,
            optional=optional,
            choices=get_args(kind) if is_literal else (),
            low=low,
            high=high,
            low_open=low_open,
            high_open=high_open,
            decimals=_decimals(info),
            place=bounds.get(FormPlace, FormPlace.MORE),
        )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a field without None, and whether None is allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return parts[0], len(parts) < len(get_args(annotation))
    return annotation, False


def _bound(rules: dict[type, Any], closed: type, open_: type) -> tuple[float | None, bool]:
    """Return a bound, and whether it is itself out of range."""
    for kind in (closed, open_):
        if kind in rules:
            return getattr(rules[kind], kind.__name__.lower()), kind is open_
    return None, False


def _decimals(info: FieldInfo) -> int:
    """Return one decimal more than the default value has, and at least two, unless it says so.

    Then a tenth of the default, as a preset may have it, is shown exactly too. A field of which
    presets have smaller values names its decimals itself.
    """
    if isinstance(info.json_schema_extra, dict) and "decimals" in info.json_schema_extra:
        return int(str(info.json_schema_extra["decimals"]))
    if not isinstance(info.default, float) or info.default >= 10:
        return 1
    decimals = f"{info.default:.8f}".rstrip("0").split(".")[1]
    return max(2, len(decimals) + 1)


def later_seed(seed: int, steps: int) -> int:
    """Return the seed `steps` after another one, starting again at 0 after the largest."""
    return (seed + steps) % (LARGEST_SEED + 1)
