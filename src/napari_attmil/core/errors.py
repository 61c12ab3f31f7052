"""The error that a person can mend."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake that the person in front of the program can mend.

    Its message is one sentence or two: what was received, what is needed, what to do next.
    """
