"""The words of Listune: what a category asks for, what a value is, and the events on the wire.

This room does no I/O beyond reading a schema file, and imports no other room. Read in this order:

- `category`: what a category asks a listing for; `versions`: the schemas in force and before;
  `changes`: what is other in a new file of them.
- `values`: is a value legal, how is it written, is it the same as another? Below it `one_value` (of
  a list), `rules` (of an attribute), `refusals` (why not), `numbers`, `units`, `texts`.
- `aliases`: what stands under a former name; `conditions`: which attributes apply.
- `origins`: did the seller type a value, change a suggestion, or accept it?
- `markup`: HTML taken out of a text.
- `completeness`: eq. 1 and 2, and what else the curation ranks by; `curation`: eq. 3.
- `events`: one strict pydantic model each; `topic_names`: where they stand; `identity`: what tells
  one listing from another.
- `decoding`: a payload read as one; `foreign`: what other languages write for them; `asyncapi`:
  the contract with those.
- `experiment`: the arms of an experiment on live traffic, and who is in which.
- `heldout`: which listings are never trained on; `likeness`: titles that are nearly the same.
- `errors`: what can be wrong with a schema or an event.
- `sources/`: readers of schema files.

Other rooms use:

- `schemas.category`: `Attribute`, `CategorySchema`, `CategorySchemas`.
- `schemas.versions`: `SchemaVersions`, the schemas in force and those that they replaced.
- `schemas.changes`: `changes`, `Change`.
- `schemas.values`: `mend`, `parse_answer`, `format_answer`, `is_valid`, `problem`, `matches`.
- `schemas.aliases`: `in_force`, `asked_for`; `schemas.conditions`: `applying`.
- `schemas.origins`: `Origin`, `ORIGINS`, `origins`, `in_short`, `in_full`.
- `schemas.refusals`: `bound_in`; `schemas.numbers`: `number_expression`, `read_number`;
  `schemas.units`: `scale`.
- `schemas.texts`: `one_line`, `is_cut_json`, `HALF_CHARACTER`; `schemas.markup`: `without_markup`.
- `schemas.completeness`: `completeness`, `gap`, `deficit`, `edits`.
- `schemas.curation`: `Candidate`, `CURATIONS`, `select`, `Selection`.
- `schemas.events`: the events, and `BASE_ADAPTER`; `schemas.decoding`: `decode`.
- `schemas.asyncapi`: `asyncapi_document`.
- `schemas.experiment`: `Experiment`, `Arm`, `place`.
- `schemas.identity`: `listing_key` and its two parts.
- `schemas.topic_names`: the names, and what stands on the topics that the pool is made of.
- `schemas.heldout`: `is_held_out`, `calibrates`.
- `schemas.likeness`: `Titles`, `text_group`.
- `schemas.errors`: `ListuneError`, which every error of ours derives from.
"""
