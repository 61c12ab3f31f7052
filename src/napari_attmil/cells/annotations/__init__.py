"""Boxes that a person drew or corrected: stored, undone, merged and compared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
