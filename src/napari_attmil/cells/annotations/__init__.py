"""Boxes that a person drew or corrected: kept, undone, merged, compared."""
