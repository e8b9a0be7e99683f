"""Where category schemas come from: readers, and a writer, of schema files.

This room knows files and `schemas`, and nothing else. Read in this order:

- `json_schema`: the project's own JSON. `editing`: such a file changed in one place.
- `shopify`: the public Shopify taxonomy; `shopify_mappings`: what its categories were called
  before; `shopify_files`: the files of both.

Other rooms use:

- `schemas.sources.json_schema`: `read_schemas`, `write_schemas`.
- `schemas.sources.editing`: `with_values`, `put_in_place`.
"""
