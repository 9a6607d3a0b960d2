"""model and data ─search→ the fastest artifact that is still right."""
