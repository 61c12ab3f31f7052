"""The base of all settings; forms, command-line options and saved runs are built from them.

Each field has a title, a docstring that describes it with its unit, and bounds. `FieldSpec` reads
them, so that a control in a form and an option of a command say and accept the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum, auto
from types import NoneType, UnionType
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

from annotated_types import Ge, Gt, Le, Lt
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


_SHOWN = 80
"""So many characters of a wrong value are shown."""


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
            given = repr(first.get("input"))
            given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
            raise UserError(f"{title} was given {given}: {first['msg'].lower()}.") from None


@dataclass(frozen=True, kw_only=True)
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
    decimals
        How many decimals of a number are shown.
    place
        Where a form shows it.
    ge, gt, le, lt
        Bounds of a number, as pydantic names them; None where there is no such bound.
    """

    title: str
    description: str
    kind: Any
    optional: bool
    choices: tuple[str, ...]
    decimals: int
    place: FormPlace
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @classmethod
    def of(cls, model: type[Settings], name: str) -> FieldSpec:
        """Read the field of a model."""
        info = model.model_fields[name]
        is_union = get_origin(info.annotation) in (Union, UnionType)
        parts = get_args(info.annotation) if is_union else (info.annotation,)
        kind = next(part for part in parts if part is not NoneType)
        is_literal = get_origin(kind) is Literal
        bounds: dict[str, Any] = {}
        for rule in info.metadata:
            if isinstance(rule, Ge | Gt | Le | Lt):
                bounds |= asdict(rule)
        places = (rule for rule in info.metadata if isinstance(rule, FormPlace))
        return cls(
            title=info.title or name,
            description=info.description or "",
            kind=str if is_literal else kind,
            optional=NoneType in parts,
            choices=get_args(kind) if is_literal else (),
            decimals=_decimals(info),
            place=next(places, FormPlace.MORE),
            **bounds,
        )


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
