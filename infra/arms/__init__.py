"""The report of an experiment on live traffic: tables, pictures and files. The figures are those of
`streams.arms`; here the live pool is asked for them, and they are put into words. Read in this
order:

- `asking`: the live pool asked, with the settings' prices.
- `sheets`: the tables, as text that fits 80 columns. `pictures`: the intervals over sellers.
- `files`: all of it in a folder.

Other rooms use: `infra.arms.asking`, `infra.arms.sheets`, `infra.arms.files`.
"""
