"""The `listune` command: thin commands over the rooms, which do the work."""
