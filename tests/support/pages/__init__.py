"""Panels as a person sees and uses them: what tests read and press."""
