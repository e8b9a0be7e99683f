"""Pictures on their way to a model: got, checked, shrunk and kept. No torch and no Kafka.

- `serving.pictures.picture`: what is seen of a picture.
- `serving.pictures.settings`: where pictures may come from, and how patient one is with them.
"""
