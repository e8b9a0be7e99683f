"""The demo: a catalog, sellers who review, and a report of what the loop did."""
