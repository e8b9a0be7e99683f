"""All formats that are known, in the order in which they are asked."""

from infra.importing.formats.form import Format

FORMATS: tuple[Format, ...] = ()
BY_NAME = {one.name: one for one in FORMATS}
