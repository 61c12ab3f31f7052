"""Images: samples and cohorts, how their files are read, and images simulated with known truth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
