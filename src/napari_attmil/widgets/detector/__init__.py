"""The panel Train detector: teach the detector by reviewed images."""
