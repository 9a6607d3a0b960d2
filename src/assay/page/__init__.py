"""The page of a run, a search, or several records beside each other."""
