"""Layers of the viewer, and what follows them."""
