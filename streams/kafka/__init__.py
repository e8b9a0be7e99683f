"""Kafka itself: topics, readers, the publisher, and where a reader is in its partitions."""
