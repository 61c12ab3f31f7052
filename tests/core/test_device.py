from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_attmil.cells.detection.network_file import load_network
from napari_attmil.cells.finetuning.learner import Learner
from napari_attmil.core.device import (
    Device,
    available_devices,
    choose_device,
    in_batches,
    is_out_of_memory,
)
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_processor_is_always_the_last_choice() -> None:
    assert available_devices()[-1].name == "cpu"
    assert choose_device("cpu").torch() == torch.device("cpu")


def test_an_unknown_device_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no device 'gpu7'; choose auto or one of .*cpu"):
        choose_device("gpu7")


def test_autocast_computes_products_in_the_device_s_precision() -> None:
    device = choose_device("cpu")
    with device.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == getattr(torch, device.precision)


def test_nothing_is_trained_in_float16() -> None:
    gpu = Device("cpu", "float16", "an old GPU")
    assert gpu.for_training() == Device("cpu", "float32", "an old GPU")
    assert choose_device("cpu").for_training() == choose_device("cpu")
    assert Learner.of(load_network().network, gpu).device.precision == "float32"


def memory_for(limit: int, sizes: list[int]) -> object:
    def double(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * item for item in batch]

    return double


def test_a_full_memory_halves_the_batch_and_goes_on() -> None:
    sizes: list[int] = []
    results: list[int] = list(in_batches(list(range(10)), 8, memory_for(3, sizes)))  # type: ignore[arg-type]
    assert results == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


def test_one_item_that_does_not_fit_says_what_to_do() -> None:
    with pytest.raises(UserError, match="choose the device cpu") as raised:
        list(in_batches([1, 2], 2, memory_for(0, [])))  # type: ignore[arg-type]
    assert raised.value.__cause__ is not None and is_out_of_memory(raised.value.__cause__)


def test_other_errors_pass_through() -> None:
    def fail(batch: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(in_batches([1], 1, fail))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
