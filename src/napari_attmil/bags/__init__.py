"""Samples as bags of cells: their features, the classifier, its training and its evaluation."""
