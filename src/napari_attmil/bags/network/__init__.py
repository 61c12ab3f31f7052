"""The multiple-instance network and its parts."""
