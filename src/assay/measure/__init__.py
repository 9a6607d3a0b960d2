"""Running an artifact and timing it: the pipeline, its stages, and the clock."""
