"""What the pool decides: when a round begins, what it takes, what comes after it."""
