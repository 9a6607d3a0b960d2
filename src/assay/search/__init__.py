"""Searching for the fastest candidate: which there are, and in what order they are tried."""
