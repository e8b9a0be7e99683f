"""JSON Schema as a source of category schemas: Amazon's product type definitions above all.

Read in this order:

- `reader`: files in, a `Source` out; a file is a category.
- `walking`: an object of objects and lists as leaves, each with its path, and the conditions.
- `document`: one file, its `$ref`s, and a schema with its `allOf`, `anyOf`, `oneOf` in one.
- `kinds`: a leaf as an attribute. `patterns`: a regular expression that is searched for as one that
  matches the whole. `conditions`: `if`, `then`, `else` as `when`.
- `unsaid`: keywords that are only counted.
- `amazon`: what of a product type is an offer's or a page's, and no attribute of a product.

Other rooms use `schemas.sources.definitions.reader`.
"""
