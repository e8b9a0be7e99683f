"""What pictures bring, measured: text alone, a picture alone, and both.

    two catalogs with pictures → split, mixed as sellers send them → an adapter that sees and one
    that reads, trained alike → every test product judged three times → a results folder

Everything that costs time is kept as in `infra.lab.experiment`, whose split, lab and statistics
serve here too: a run that was killed goes on where it was.

- `profiles`: what is run, at which size, and what was tried before on the calibration listings.
- `implicitave`: that catalog, its schema made of its options. `catalogs`: both, split and seen.
- `run`: all of it. `baselines`: what the arms have to beat.
- `figures`: what was measured, as data. `goals`: which goals were met.
- `tables`, `plot`, `report`: the results folder.

Other rooms use: `infra.lab.pictures.run`, `infra.lab.pictures.profiles`.
"""
