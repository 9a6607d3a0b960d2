"""Where images lie: one file a form."""
