"""The error for mistakes that users can correct."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake that the user can correct.

    Its message has one or two sentences: what was received, what is needed, and what to do next.
    """
