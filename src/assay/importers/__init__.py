"""Readers of what other tools write of their runs: one file a tool."""
