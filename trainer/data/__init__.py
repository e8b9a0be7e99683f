"""What a round learns from and leaves behind: data sets, the registry, lineage."""
