"""What is wrong with a file is said in words of this program, never in those of a library."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest

from napari_attmil.core.errors import ContentError, UserError, reason_in_words

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (lambda: float(None), "a value is empty (null)"),  # type: ignore[arg-type]
        (lambda: float([]), "a value is no number"),  # type: ignore[arg-type]
        (lambda: float("abc"), "'abc' is no number"),
        (lambda: int("7,5"), "'7,5' is no number"),
        (lambda: float("\0" * 5000), "a value is no number"),
        (lambda: int(float("inf")), "its numbers or its nesting are out of bounds"),
        (lambda: [][0], "a value is of another kind than needed"),
        (lambda: dict[str, int]()["bbox"], "'bbox' is missing"),
        (lambda: json.loads('{"a":\n 1, b}'), "its JSON ends or breaks in line 2"),
        (lambda: ElementTree.fromstring("<a>\n<b>"), "its XML ends or breaks in line 2"),
        (lambda: b"\xff".decode(), "it holds bytes that are no text"),
        (lambda: list(csv.reader(['"a'], strict=True)), "a quotation mark in it is not closed"),
        (lambda: np.zeros(3).reshape(2, 2), "it is damaged, or of another kind than its name says"),
        (lambda: os.stat("/not/there"), "No such file or directory"),
    ],
)
def test_a_failure_is_told_in_our_words(failing: Callable[[], Any], words: str) -> None:
    with pytest.raises(Exception) as raised:
        failing()
    assert reason_in_words(raised.value).startswith(words)


def test_our_own_words_stay_as_they_are() -> None:
    assert reason_in_words(ContentError("it holds no images")) == "it holds no images"
    assert reason_in_words(UserError("a\nb; do c.")) == "a b; do c."
