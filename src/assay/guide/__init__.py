"""The formats and figures of the guide that this project reproduces."""
