"""The predict worker: a request in, the engine's answer out."""
