"""Records made readable; nothing here computes a figure."""
