"""The gate's simulation: how often it is wrong, with the rule that decides in production."""
