"""The whole way, from a checkpoint to a verdict."""
