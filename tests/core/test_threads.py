from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
import torch

from napari_attmil.core.threads import all_threads, compute_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    all_threads.cache_clear()
    yield
    torch.set_num_threads(before)
    all_threads.cache_clear()


def test_a_block_computes_on_few_threads_and_then_on_as_many_as_before() -> None:
    with compute_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(ValueError, match="wrong"), compute_threads(2):
        raise ValueError("wrong")
    assert torch.get_num_threads() == 3


def test_no_block_takes_more_threads_than_the_process_was_started_with() -> None:
    with compute_threads(16):
        assert torch.get_num_threads() == 3


def test_what_gains_from_all_threads_has_them_within_a_block_of_one() -> None:
    with compute_threads(1):
        with compute_threads():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1


def test_a_thread_that_began_in_anothers_block_has_all_threads_when_it_asks() -> None:
    found: list[int] = []

    def detect() -> None:
        with compute_threads():
            found.append(torch.get_num_threads())

    with compute_threads(1):
        thread = Thread(target=detect)
        thread.start()
        thread.join()
    assert found == [3]
