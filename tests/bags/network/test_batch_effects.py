"""Batch effects are scaled down; what tells cells or classes apart is not."""

from __future__ import annotations

import pytest
import torch

from napari_attmil.bags.network.batch_effects import batch_damping

CELLS, DIMENSIONS = 60, 6
LABELS = [0, 1] * 12


def samples(batch_effect: float, between_classes: float = 0.0) -> list[torch.Tensor]:
    """Return samples whose means differ along the first direction, their classes along the last."""
    generator = torch.Generator().manual_seed(0)
    bags = []
    for label in LABELS:
        cells = torch.randn((CELLS, DIMENSIONS), generator=generator)
        cells[:, 0] += batch_effect * torch.randn((), generator=generator)
        cells[:, -1] += between_classes * label
        bags.append(cells)
    return bags


def test_a_direction_in_which_samples_of_a_class_lie_apart_is_scaled_down() -> None:
    damping = batch_damping(samples(batch_effect=3), LABELS, penalty=10)

    lengths = damping.norm(dim=1)
    assert lengths[0] < 0.2
    assert lengths[1:].min() > 0.8


def test_how_far_follows_from_the_variance_between_samples() -> None:
    bags = samples(batch_effect=3)
    means = torch.stack([bag.mean(0) for bag in bags])[:, 0]
    variance = sum(means[label::2].var() for label in (0, 1)) / 2

    damping = batch_damping(bags, LABELS, penalty=10)

    assert float(damping[0, 0]) == pytest.approx(float((1 + 10 * variance) ** -0.5), rel=0.1)


def test_without_batch_effects_all_stays_nearly_as_it_is() -> None:
    damping = batch_damping(samples(batch_effect=0), LABELS, penalty=10)

    torch.testing.assert_close(damping, torch.eye(DIMENSIONS), atol=0.08, rtol=0)


def test_a_difference_between_classes_is_no_batch_effect() -> None:
    damping = batch_damping(samples(batch_effect=0, between_classes=5), LABELS, penalty=10)

    assert float(damping[-1, -1]) > 0.9


def test_no_penalty_changes_nothing() -> None:
    damping = batch_damping(samples(batch_effect=3), LABELS, penalty=0)

    torch.testing.assert_close(damping, torch.eye(DIMENSIONS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cells", [1, 2])
def test_samples_of_hardly_a_cell_or_one_a_class_are_no_mistake(cells: int) -> None:
    bags = [torch.randn((cells, 4), generator=torch.Generator().manual_seed(n)) for n in (0, 1)]

    assert torch.isfinite(batch_damping(bags, [0, 1], penalty=10)).all()


def test_directions_without_any_spread_are_no_mistake() -> None:
    bags = [torch.cat([bag, torch.zeros(CELLS, 2)], dim=1) for bag in samples(batch_effect=1)]

    damping = batch_damping(bags, LABELS, penalty=10)

    assert torch.isfinite(damping).all()
    torch.testing.assert_close(damping[-2:, -2:], torch.eye(2), atol=1e-5, rtol=0)


class OnAppleGPU(torch.Tensor):
    """A tensor that cannot be float64, until it comes to the processor."""

    def double(self) -> torch.Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self, *_: object) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_it_is_found_where_the_device_has_no_float64() -> None:
    bags = samples(batch_effect=3)
    on_gpu = [bag.as_subclass(OnAppleGPU) for bag in bags]
    assert torch.equal(batch_damping(on_gpu, LABELS, 10), batch_damping(bags, LABELS, 10))
