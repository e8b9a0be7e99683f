"""The pool made again from its topics, and whether it is the same."""
