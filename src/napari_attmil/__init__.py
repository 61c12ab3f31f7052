"""Attention multiple-instance learning for bright-field microscopy of blood, in napari.

The public names are loaded when they are first used, so importing the package is quick and loads
neither torch nor Qt nor napari.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
