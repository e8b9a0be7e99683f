"""The stream benchmark: what the workers carry, beside bare loops on the same Kafka."""
