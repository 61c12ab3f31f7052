"""The error for mistakes that users can correct, and what mends them."""

from __future__ import annotations

from enum import Enum


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
