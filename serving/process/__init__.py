"""What every process of ours has: a health endpoint."""
