"""The runtimes that can compile and run a model, behind one contract: one file or folder each."""
