"""The curate worker: events into the pool, decisions out of it."""
