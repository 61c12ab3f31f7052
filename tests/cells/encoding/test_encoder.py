"""The shipped encoder: what changes a cell's vector, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_attmil.cells.encoding import (
    CellEncoder,
    EncoderNetwork,
    load_encoder,
    pictures_of_cells,
)
from napari_attmil.cells.encoding.network import SIDE_PX, fused
from napari_attmil.cells.encoding.network_file import (
    load_encoder_network,
    save_encoder_network,
    shipped_encoder,
)
from napari_attmil.core.device import Device
from napari_attmil.core.errors import UserError
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.simulation.cohort import SimulatedImage

CPU = Device("cpu", "float32", "processor")
SIDE = 480


@pytest.fixture(scope="module")
def encoder() -> CellEncoder:
    return CellEncoder.load(None, CPU)


def field_of(appearance_seed: int, cell_type: str | None = None) -> SimulatedImage:
    """Return one field of cells, always at the same places, under some focus and light."""
    settings = SimulationSettings(image_size_px=SIDE, cells_per_image=24, cell_diameter_px=44)
    appearance = draw_appearance("unstained", 0.5, np.random.default_rng(appearance_seed))
    types = None if cell_type is None else [cell_type] * 24
    return simulate_image(settings, np.random.default_rng(11), types, appearance)


def mean_cosine(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first.astype(np.float64), second.astype(np.float64)
    return float(np.mean((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def test_a_cell_becomes_256_numbers(encoder: CellEncoder) -> None:
    field = field_of(0)
    vectors = encoder.encode(field.image, field.xyxy)
    assert vectors.shape == (len(field.xyxy), 256)
    assert vectors.dtype == np.float16
    assert np.isfinite(vectors).all()
    assert encoder.encode(field.image, np.empty((0, 4))).shape == (0, 256)


def test_turning_and_mirroring_hardly_change_a_vector(encoder: CellEncoder) -> None:
    field = field_of(0)
    x_min, y_min, x_max, y_max = field.xyxy.T
    vectors = encoder.encode(field.image, field.xyxy)
    turned = encoder.encode(
        np.rot90(field.image), np.stack([y_min, SIDE - x_max, y_max, SIDE - x_min], axis=1)
    )
    mirrored = encoder.encode(
        field.image[:, ::-1], np.stack([SIDE - x_max, y_min, SIDE - x_min, y_max], axis=1)
    )
    assert mean_cosine(vectors, turned) > 0.9
    assert mean_cosine(vectors, mirrored) > 0.9
    assert mean_cosine(vectors, np.roll(vectors, 1, axis=0)) < 0.7


def test_light_contrast_depth_and_size_hardly_change_a_vector(encoder: CellEncoder) -> None:
    field = field_of(0)
    vectors = encoder.encode(field.image, field.xyxy)
    deeper = field.image.astype(np.uint16) * 100 + 3000
    assert mean_cosine(vectors, encoder.encode(deeper, field.xyxy)) > 0.999
    colour = np.repeat(field.image[..., None], 3, axis=2)
    assert mean_cosine(vectors, encoder.encode(colour, field.xyxy)) > 0.999
    twice = field.image.repeat(2, axis=0).repeat(2, axis=1)
    assert mean_cosine(vectors, encoder.encode(twice, 2 * field.xyxy)) > 0.97


def test_vectors_of_a_large_image_are_those_of_its_part(encoder: CellEncoder) -> None:
    part = field_of(0)
    whole = np.tile(part.image, (5, 5))  # 2,400 px: more than one block, with the same grey levels
    shift = np.tile(np.array([4 * SIDE, 4 * SIDE]), 2)
    inside = (part.xyxy[:, :2] > 12).all(1) & (part.xyxy[:, 2:] < SIDE - 12).all(1)
    boxes = part.xyxy[inside]
    vectors, others = encoder.encode(part.image, boxes), encoder.encode(whole, boxes + shift)
    assert mean_cosine(vectors, others) > 0.99


def test_a_fused_network_gives_the_same_vectors() -> None:
    network, _, _ = load_encoder_network()
    pictures = torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, (3, 1, SIDE_PX, SIDE_PX)))
    with torch.inference_mode():
        plain = network.eval()(pictures.float())
        torch.testing.assert_close(fused(network)(pictures.float()), plain, rtol=1e-3, atol=1e-3)
    assert not [m for m in fused(network).modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_a_picture_is_the_box_with_its_surroundings_in_the_image_s_grey_levels() -> None:
    image = np.zeros((40, 60))
    image[10:20, 20:30] = 1.0
    (picture,) = pictures_of_cells(image, [[20, 10, 30, 20]], 12, 1.2)[:, 0].numpy()
    bright = 1 / image.std()
    np.testing.assert_allclose(picture[1:11, 1:11], bright, rtol=1e-5)
    np.testing.assert_allclose(picture[[0, -1]], 0, atol=1e-6)
    np.testing.assert_allclose(picture[:, [0, -1]], 0, atol=1e-6)


def test_beyond_the_edge_border_pixels_are_repeated() -> None:
    image = np.zeros((40, 60))
    image[:, :10] = 1.0
    (picture,) = pictures_of_cells(image, [[-4, 10, 6, 20]], 10, 1.0)[:, 0].numpy()
    np.testing.assert_allclose(picture, 1 / image.std(), rtol=1e-5)


def test_a_box_outside_of_the_image_shows_the_nearest_border() -> None:
    image = np.zeros((40, 60))
    image[:, 50:] = 1.0
    (picture,) = pictures_of_cells(image, [[70, 10, 80, 20]], 10, 1.0)[:, 0].numpy()
    np.testing.assert_allclose(picture, 1 / image.std(), rtol=1e-5)


def test_a_large_cell_is_averaged_not_sampled() -> None:
    checks = np.indices((200, 200)).sum(0) % 2 * 1.0
    (picture,) = pictures_of_cells(checks, [[40, 40, 160, 160]], 15, 1.0)[:, 0].numpy()
    middle = (0.5 - np.median(checks)) / checks.std()
    np.testing.assert_allclose(picture, middle, atol=0.15)


def test_the_shipped_file_is_small_and_keeps_its_digest(encoder: CellEncoder) -> None:
    assert shipped_encoder().stat().st_size < 12e6
    assert CellEncoder.load(shipped_encoder(), CPU).digest == encoder.digest
    assert load_encoder("shipped", CPU).digest == encoder.digest


def test_an_encoder_survives_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "own.safetensors"
    save_encoder_network(path, EncoderNetwork(), {"data": "none"})
    own = CellEncoder.load(path, CPU)
    assert own.provenance["data"] == "none"
    assert own.digest != CellEncoder.load(None, CPU).digest
    with pytest.raises(UserError, match="holds a detector, but an encoder is needed"):
        CellEncoder.load(shipped_encoder().with_name("detector.safetensors"), CPU)
