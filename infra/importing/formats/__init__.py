"""Exports of known programs, each by its headers: what they call id, title and attributes.

A format has a `NAME`; `recognise` says by the columns or the first bytes whether a file is one;
`preset` makes its map. Some have `flatten`, for files that are no tables, and some `prepare`, which
brings what several rows say of one product together.

Other rooms use: `infra.importing.formats.form`, `infra.importing.formats.known`.
"""
