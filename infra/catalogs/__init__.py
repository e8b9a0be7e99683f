"""Listings to sell, from files or made up, and sellers who review them; knows no settings tree.

- `product`: a product with the values that its seller knows. `catalog`: products read from JSONL.
  Under it `entries` (what a line says) and `reading` (what was left out, in counts and sentences),
  beside it `rejected_file` (the same line by line).
- `categories`: how many products a catalog has of each category.
- `vocabulary` (with vocabulary.json): the words and odds that the default catalog is made of.
- `generate`: the default catalog, the same for the same seed.
- `grouping`: what belongs together, dealt evenly; what is held out.
- `inputs`: what is sent of a product, its text, its picture or both, in the shares of the paper.
- `sellers`: simulated sellers, who keep, correct or leave what they are shown.

Other rooms use: `infra.catalogs.catalog`, `infra.catalogs.categories`, `infra.catalogs.entries`,
`infra.catalogs.generate`, `infra.catalogs.grouping`, `infra.catalogs.inputs`,
`infra.catalogs.reading`, `infra.catalogs.rejected_file`, `infra.catalogs.sellers`.
"""
