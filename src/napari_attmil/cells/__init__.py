"""Cells in images: boxes, their corrections, and the detector that finds them."""
