"""The serving benchmark: Listune's engine beside other ways to the same answers."""
