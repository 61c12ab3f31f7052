"""The detector: images in, scored boxes and RoI features out."""
