"""From a parent adapter and listings to a candidate."""
