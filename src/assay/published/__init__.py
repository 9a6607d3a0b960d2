"""Figures that others published, to compare with."""
