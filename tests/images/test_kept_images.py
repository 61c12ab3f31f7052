from __future__ import annotations

from typing import Any

import numpy as np

from napari_attmil.images import KeptImages


class Counting(list[Any]):
    """Images that count how often each is read."""

    def __init__(self, images: list[Any]) -> None:
        super().__init__(images)
        self.sizes = tuple(image.shape[:2] for image in images)
        self.read = [0] * len(images)

    def __getitem__(self, index: Any) -> Any:
        self.read[index] += 1
        return super().__getitem__(index)


def counting(count: int) -> Counting:
    return Counting([np.full((10, 20), number, np.uint8) for number in range(count)])


def test_images_are_decoded_once_however_often_they_are_read() -> None:
    images = counting(3)
    kept: Any = KeptImages(images)  # type: ignore[arg-type]
    for _ in range(2):
        assert [image[0, 0] for image in kept] == [0, 1, 2]
    assert [image[0, 0] for image in kept[1:]] == [1, 2]
    assert images.read == [1, 1, 1]
    assert kept.sizes == ((10, 20),) * 3


def test_no_more_is_kept_than_memory_allows() -> None:
    images = counting(3)
    kept: Any = KeptImages(images, most_bytes=450)  # type: ignore[arg-type]
    for _ in range(2):
        assert [image[0, 0] for image in kept] == [0, 1, 2]
    assert images.read == [1, 1, 2]
