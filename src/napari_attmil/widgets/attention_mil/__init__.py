"""The panel Attention MIL: images, cells, classifier, result, one step below the other."""
