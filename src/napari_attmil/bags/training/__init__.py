"""How classifiers are trained, one model or an ensemble of them."""
