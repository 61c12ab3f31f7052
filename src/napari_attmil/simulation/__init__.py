"""Simulated bright-field images whose truth is known."""
