"""What `listune import` costs, and a shop to try it with.

- `speed`: rows a second and memory of generated files; run by `python -m infra.lab.importing`.
- `shop`: a shop's export, made up: `python -m infra.lab.importing.shop --rows 500 --out shop.csv`.
"""
