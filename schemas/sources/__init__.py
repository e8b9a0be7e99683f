"""Where category schemas come from: readers, and a writer, of schema files.

This room knows files and `schemas`, and nothing else. Read in this order:

- `json_schema`: the project's own JSON. `editing`: such a file changed in one place.
- `source`: what every other source is read as; `drafts`: its attributes, and what a schema can have
  of them; `left_out`: what it cannot, counted. `selecting`: the categories that a catalog uses;
  `building`: those as a schema file. `files`: text, JSON and XML with faults in words.
- `shopify_source`: the public Shopify taxonomy, in any language; `shopify`: its files, as they
  refer to each other; `shopify_mappings`: what its categories were called before;
  `shopify_files`: the files of both.
- `google`: Google's categories, with the attributes of `google_attributes`.
- `etim`: `etim_csv`, `etim_ixf` and `bmecat`, all read as `etim_model`. `gs1`: bricks.
- `definitions/`: JSON Schema, such as Amazon's product types.

Other rooms use:

- `schemas.sources.json_schema`: `read_schemas`, `write_schemas`.
- `schemas.sources.editing`: `with_values`, `put_in_place`.
- `schemas.sources.shopify_source`, `schemas.sources.google`, `schemas.sources.etim`,
  `schemas.sources.gs1`: a function each that reads a `Source`.
- `schemas.sources.source`: `Source`; `schemas.sources.selecting`: `used_by`, `named`, `all_of`;
  `schemas.sources.building`: `build`, `write_built`.
- for `schemas.sources.definitions`: `schemas.sources.drafts`, `schemas.sources.files`,
  `schemas.sources.left_out`.
"""
