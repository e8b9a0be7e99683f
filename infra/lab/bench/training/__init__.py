"""The training benchmark: our loop beside TRL on the same listings."""
