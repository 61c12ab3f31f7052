"""Fitting the detector to reviewed images."""
