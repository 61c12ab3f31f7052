"""Which cells decided: measures of attributions, and what changes without some cells."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
