"""Images and labels: where they lie, how they become pixels, and the prepared data set."""
