"""The core's steps: every arrow of the way is one function here, from records to a record."""
