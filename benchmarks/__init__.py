"""Timed runs, one file a subject; `make bench` runs them."""
