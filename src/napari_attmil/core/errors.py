"""The error for mistakes that users can correct, what mends them, and what is wrong with files."""

from __future__ import annotations

import csv
import json
import re
from enum import Enum
from typing import Final
from xml.etree.ElementTree import ParseError


class Remedy(Enum):
    """What mends a mistake; in the window, each has a button of this text."""

    OPEN_IMAGES = "Open images or folder…"
    GIVE_CLASSES = "Give classes…"
    DETECT_CELLS = "Go to Cells"
    TRAIN_CLASSIFIER = "Go to Classifier"
    LOAD_MODEL = "Load model…"
    CLASSIFY = "Go to Result"
    REVIEW_IMAGES = "Annotate cells"
    TRAIN_DETECTOR = "Train detector"
    USE_CPU = "Compute on the CPU"
    SAVE_ELSEWHERE = "Save elsewhere…"
    TRY_AGAIN = "Try again"


class UserError(ValueError):
    """A mistake that the user can correct.

    Parameters
    ----------
    text
        One or two sentences: what was received, what is needed, and what to do next.
    remedy
        What the window offers beside the text.
    """

    def __init__(self, text: str, remedy: Remedy | None = None) -> None:
        super().__init__(text)
        self.remedy = remedy


class ContentError(ValueError):
    """What is wrong with a file's content, as a part of a sentence: "it holds no images"."""


_NO_NUMBER: Final = re.compile(r"(?:to float|base 10): (?P<value>'[ -~]{0,20}')$")
"""The end of what Python says of a text that is no number, if it is short and can be shown."""


def reason_in_words(error: BaseException) -> str:
    """Say what is wrong with a file that could not be read, in words of this program.

    What Python and libraries say is for programmers; it stays with the error's cause.
    """
    match error:
        case UserError() | ContentError():
            reason = str(error)
        case json.JSONDecodeError():
            reason = f"its JSON ends or breaks in line {error.lineno}"
        case ParseError():
            reason = f"its XML ends or breaks in line {error.position[0]}"
        case csv.Error():
            reason = "a quotation mark in it is not closed, or stands within a cell"
        case UnicodeError():
            reason = "it holds bytes that are no text"
        case KeyError():
            reason = f"{error} is missing" if _is_name(error) else "a value is missing"
        case OverflowError() | RecursionError() | MemoryError():
            reason = "its numbers or its nesting are out of bounds"
        case OSError() if error.strerror:
            reason = error.strerror
        case ValueError() if found := _NO_NUMBER.search(str(error)):
            reason = f"{found['value']} is no number"
        case ValueError() if "float" in str(error) or "int()" in str(error):
            reason = "a value is no number"
        case TypeError() if "NoneType" in str(error):
            reason = "a value is empty (null)"
        case TypeError() if "argument must be" in str(error):
            reason = "a value is no number"
        case TypeError() | AttributeError() | IndexError():
            reason = "a value is of another kind than needed"
        case _:
            reason = "it is damaged, or of another kind than its name says"
    return " ".join(reason.split())[:200]


def _is_name(error: KeyError) -> bool:
    """Return whether what is missing is a name that can be shown."""
    return bool(error.args) and isinstance(error.args[0], str) and len(error.args[0]) <= 40
