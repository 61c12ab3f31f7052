"""Encoders by name: the shipped one, and those of installed packages.

A package offers an encoder by an entry point of the group `napari_attmil.encoders`: its name, and a
function that takes a `core.Device` and returns an `EncoderLike`. Only installed packages are asked,
never a path in a model file: the file of a stranger must not run code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from napari_attmil.core import Remedy, UserError, entry_names, load_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_attmil.cells.encoding.encoder import EncoderLike
    from napari_attmil.core import Device

GROUP: Final = "napari_attmil.encoders"
SHIPPED: Final = "shipped"


def encoder_names() -> list[str]:
    """Return the names of all encoders, the shipped one first."""
    return [SHIPPED, *(name for name in entry_names(GROUP) if name != SHIPPED)]


@lru_cache(maxsize=2)
def load_encoder(name: str, device: Device) -> EncoderLike:
    """Return an encoder by its name, loaded once.

    Raises
    ------
    UserError
        If no installed package offers an encoder of this name.
    """
    if name == SHIPPED:
        from napari_attmil.cells.encoding.encoder import CellEncoder

        return CellEncoder.load(None, device)
    factory: Callable[[Device], EncoderLike] | None = load_entry(GROUP, name)
    if factory is None:
        raise UserError(
            f"There is no cell encoder {name!r}; install the package that offers it, or choose one "
            f"of {', '.join(encoder_names())}.",
            Remedy.TRAIN_CLASSIFIER,
        )
    return factory(device)
