"""Kafka itself: topics, readers, the publisher. It knows events as bytes, and no pool.

- `streams.kafka.topics`: names, shape and creation of the topics, and which cluster it is.
- `streams.kafka.publisher`: the one way in which this project writes to Kafka.
- `streams.kafka.control_log`: the control topics, followed from their beginning.
- `streams.kafka.log_reader`: a stretch of a log, read once.
- `streams.kafka.replies`: the prediction that answers a request, waited for.
- `streams.kafka.committed`: what a consumer group has committed.
- `streams.kafka.partitions`: where a reader is in its partitions, as plain data.
- `streams.kafka.clients`: every consumer that is not Faust's.
"""
