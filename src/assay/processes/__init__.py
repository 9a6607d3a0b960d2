"""What hangs, dies or is interrupted: children, watchdogs, signals."""
