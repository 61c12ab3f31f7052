"""Encoders of other packages are found by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.cells.encoding import encoder_names, encoders, load_encoder
from napari_attmil.core import entries
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

CPU = Device("cpu", "float32", "processor")


class Greys:
    """An encoder of two numbers: the mean grey level of a box, and its area."""

    digest = "greys"

    def __init__(self, device: Device) -> None:
        self.device = device

    def encode(self, image: Any, xyxy: Any) -> np.ndarray:
        boxes = np.asarray(xyxy, dtype=int).reshape(-1, 4)
        rows = [(image[b:d, a:c].mean(), (c - a) * (d - b)) for a, b, c, d in boxes]
        return np.array(rows, dtype=np.float16).reshape(-1, 2)


@pytest.fixture
def greys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offer `Greys` as an installed package would."""
    offered = EntryPoints([EntryPoint("greys", f"{__name__}:Greys", encoders.GROUP)])
    monkeypatch.setattr(entries, "entry_points", lambda **asked: offered.select(**asked))
    load_encoder.cache_clear()
    yield
    load_encoder.cache_clear()


@pytest.mark.usefixtures("greys")
def test_an_installed_package_can_offer_an_encoder() -> None:
    assert encoder_names() == ["shipped", "greys"]
    encoder = load_encoder("greys", CPU)
    image = np.full((20, 20), 7.0)
    assert encoder.encode(image, [[2, 2, 6, 7]]).tolist() == [[7.0, 20.0]]


@pytest.mark.usefixtures("greys")
def test_an_encoder_that_nobody_offers_is_refused_with_the_names_of_others() -> None:
    with pytest.raises(UserError, match=r"no cell encoder 'dino'.*shipped, greys"):
        load_encoder("dino", CPU)
