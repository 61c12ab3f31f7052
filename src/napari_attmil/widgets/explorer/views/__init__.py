"""What the explorer draws."""
