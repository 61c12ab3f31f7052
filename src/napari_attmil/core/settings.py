"""The base of all settings; forms, command-line options and saved runs are built from them.

Each field has a title, a docstring that describes it with its unit, and bounds, so that a form or
a command line can be built from it and a value out of range is refused with a reason.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_attmil.core.errors import UserError

LARGEST_SEED: Final = 2**31 - 1
"""Scikit-learn takes no seed of 2**32 or more, and forms take no integer above this."""


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


def later_seed(seed: int, steps: int) -> int:
    """Return the seed `steps` after another one, starting again at 0 after the largest."""
    return (seed + steps) % (LARGEST_SEED + 1)
