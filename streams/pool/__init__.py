"""The gap-ranked pool in DuckDB: one transaction a micro-batch, rows and offsets together."""
