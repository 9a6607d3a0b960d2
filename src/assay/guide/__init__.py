"""The formats and steps of the guide that this project reproduces."""
