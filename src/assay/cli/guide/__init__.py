"""The guide's own command lines."""
