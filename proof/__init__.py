"""What assay says of its figures, shown to hold, one file a claim; `make proof` runs them."""
