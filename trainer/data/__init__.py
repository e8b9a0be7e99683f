"""What a round learns from and leaves behind: data sets, the registry, lineage.

It knows nothing of models. Read in this order:

- `dataset`: listings and their catalog values, from a manifest or a held-out file.
- `pictures`: what was seen of the listings' pictures, out of the store.
- `parquet`: the files themselves, by either of two libraries.
- `registry`: where adapters are kept for good, each with its lineage.

Other rooms use:

- `trainer.data.dataset`: `Row`, `read_rows`, `read_heldout`, `rows_hash`.
- `trainer.data.pictures`: `RowPictures`.
- `trainer.data.registry`: `Registry`, `Lineage`.
"""
