"""The words of Listune: what a category asks for, what a value is, and the events on the wire.

This room does no I/O beyond reading a schema file and imports no other room. Other rooms use:

- `schemas.category`: `Attribute`, `CategorySchema`, `CategorySchemas`.
- `schemas.versions`: `SchemaVersions`, the schemas in force and those that they replaced.
- `schemas.values`: `parse_answer`, `format_answer`, `is_valid`, `problem`, `matches`.
- `schemas.completeness`: `completeness` (eq. 1), `gap` (eq. 2), `deficit`, `edits`.
- `schemas.curation`: `Candidate`, `CURATIONS`, `select` (eq. 3), `Selection`.
- `schemas.events`: one pydantic model per event, `decode` and `encode`.
- `schemas.sources`: readers for schema files (the project's JSON, the Shopify taxonomy).
"""
