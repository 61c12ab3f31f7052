"""What every room stands on: words, settings, errors, files and devices."""
