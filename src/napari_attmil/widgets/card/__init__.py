"""The card about one cell, and the menu of a cell: shared by all panels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
