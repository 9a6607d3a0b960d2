"""Arithmetic on scores and figures; nothing here prints, and nothing here knows a backend."""
