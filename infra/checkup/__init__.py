"""What a catalog and its schema could teach, before anything is started; see docs/catalog.md.

- `report`: what was found, as data.
- `measuring`: from products to the report. Under it `lengths` (values against the cap of an answer)
  and `mentions` (values in the text).
- `learnable`: whether anything could be learnt at all. `needs`: what the settings ask for, and what
  counts for it.
- `findings`: what to mend, worst first.
- `tables`, `plots`, `page` (with page.html): the same for a terminal, as pictures and as a page.

Other rooms use: `infra.checkup.report`, `infra.checkup.measuring`, `infra.checkup.needs`,
`infra.checkup.lengths`, `infra.checkup.tables`, `infra.checkup.page`.
"""
