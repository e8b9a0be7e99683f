"""A file of products, from whatever program, as a catalog; see docs/import.md.

- `run`: the whole of an import. `places`: where it reads and writes.
- `detecting`: what a file is.
- `guessing` and `evidence`: a map for it, with a reason for each guess; under `guessing`
  `guessed_attributes` and `candidates` (the columns that are left), under `evidence`
  `date_formats`.
- `map` and `map_file`: the map, and `map.toml`.
- `surveying`: a look at all rows, before anything is guessed.
- `reading`: a file as a table of texts; under it `delimited` (CSV), `excel` and `records` (JSON and
  Parquet).
- `formats`: exports of known programs.
- `products`: rows to products; under it `attributes` (columns, pairs and cells of several),
  `values` (one cell) and `seen` (ids, parents and spellings).
- `names`: what columns are called in several languages. `rejected`: what was left out.

Other rooms use: `infra.importing.run`, `infra.importing.places`, `infra.importing.names`,
`infra.importing.rejected`; the formats below use `infra.importing.map`,
`infra.importing.reading`, `infra.importing.records`, `infra.importing.delimited`,
`infra.importing.seen` and `infra.importing.errors`.
"""
