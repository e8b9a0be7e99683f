"""Pictures on their way to a model: got, checked, shrunk and kept. No torch and no Kafka.

- `serving.pictures.picture`: what is seen of a picture.
- `serving.pictures.settings`: where pictures may come from, and how patient one is with them.
- `serving.pictures.picture`: `Picture`, what is seen of one.
- `serving.pictures.addresses`: what a URI may name; `serving.pictures.fetching`: the bytes there,
  by way of `serving.pictures.web` (https) and `serving.pictures.buckets` (object stores).
- `serving.pictures.checking`: a stranger's bytes into a `Picture`.
- `serving.pictures.store`: `PictureStore`, which keeps what was seen, by its hash.
- `serving.pictures.looking`: `Looker`, all of this for the pictures of a listing.
"""
