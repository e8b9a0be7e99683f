"""A schema induced from a catalog: what each category asks for, why, and what it would cost.

- `induce`: the whole, in two passes over the products; `limits`: from where on it decides what.
- `counting`: what is kept of the values; bounded. `paths`: whose values a small category goes by.
- `deciding`: counted values to an attribute and a reason; below it `numbers` and `patterns`.
- `costs`: the values that a schema would leave out, by the rules that read a catalog.
- `files`: `products.jsonl` in, `schema.json` with its notes out.

Other rooms use: `infra.induction.induce`, `infra.induction.counting`, `infra.induction.costs` and
`infra.induction.files`.
"""
