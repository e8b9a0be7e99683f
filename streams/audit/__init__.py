"""Audits: people judge a sample of the suggested values, and what that says of all of them.

Sellers accept what is nearly right, and leave what they do not look at. Whether a value is *right*
only a person says who reads the product, and such verdicts are dear. So a few are drawn with known
probabilities, and the confidence that the adapter gave to *all* values is used beside them.

- `streams.audit.stratifying`: from the pool's confidences to strata, and how many of each to draw.
- `streams.audit.sampling`: the draw, by SQL on the live pool, and the audit's file.
- `streams.audit.record`: an auditor's verdicts, one a line.
- `streams.audit.prediction_powered`: correctness and its interval.
- `streams.audit.agreement`: whether two auditors mean the same.
- `streams.audit.report`: all of it as figures.
- `streams.audit.page`: these as tables, as a paragraph and as a page.
- `streams.audit.errors`: what can be wrong with an audit.

Pure, but for `record`, which writes files, and for what `sampling` and `report` ask the pool
through a function that they are given. The terminal is `infra.cli.audit`'s.
"""
