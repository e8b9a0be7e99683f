"""The import map: which column of a file is what, and how its values are written.

A map and a file give the same products, always. It is read from and written as `map.toml`
(`infra.importing.map_file`); whoever disagrees with a guess edits the file and gives it back.

A column is given by its name, by a list of names that are joined, or by `"=…"`, a constant.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.category import check_locale

Source = str | tuple[str, ...]
"""A column, several to join, or a constant behind an equals sign."""
Container = Literal["csv", "json", "jsonl", "parquet", "excel", "feed"]
Kind = Literal["text", "number", "boolean", "date"]


def _one_character(text: str) -> str:
    if len(text) > 1:
        raise ValueError("give one character, or none")
    return text


def _known_directives(form: str | None) -> str | None:
    try:
        datetime.strptime("", form or "")
    except ValueError as error:
        if "format" in str(error) and "does not match" not in str(error):
            raise ValueError(f"{error}; write one as of Python's strptime, as %d.%m.%Y") from error
    return form


Character = Annotated[str, AfterValidator(_one_character)]
DateFormat = AfterValidator(_known_directives)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileForm(_Part):
    """How the file is to be read.

    `format` is the container, `export` the program whose export it is (`infra.importing.formats`).
    `header_row` counts from 1; `delimiter`, `quote` and `encoding` are those of a CSV, `sheet` is
    Excel's, by default the first. The cells of `json_columns` are objects or lists, which become
    columns and lists as those of a JSON file do.
    """

    format: Container = "csv"
    export: str = ""
    encoding: str = "utf-8"
    delimiter: Character = ","
    quote: Character = '"'
    sheet: str = ""
    header_row: int = Field(1, ge=1)
    json_columns: tuple[str, ...] = ()


class ColumnRoles(_Part):
    """The columns of a product's own fields.

    Without `id` a product is called by the place of its row. Rows of one `group` are variants: they
    share a cluster and what their parent says.
    """

    id: Source | None = None
    group: Source | None = None
    category: Source | None = None
    title: Source | None = None
    description: Source | None = None
    images: Source | None = None
    requested: Source | None = None


class AttributeColumn(_Part):
    """Where an attribute's values stand, and what they are.

    Without a `column` it says what the values are that `[[pairs]]` and `[[cells]]` have of it.
    `locale` is how its numbers are written, such as `de-DE`. `list_separator` and `date_format`
    override those of `[values]` for this column; without a separator a cell is one value.
    """

    column: Source = ()
    kind: Kind = "text"
    unit_column: str | None = None
    locale: Annotated[str | None, AfterValidator(check_locale)] = None
    list_separator: str | None = None
    date_format: Annotated[str | None, DateFormat] = None


class Pairs(_Part):
    """Column pairs of attribute name and value; `{n}` in both patterns is the pair's number."""

    name_column: str
    value_column: str
    unit_column: str = ""
    list_separator: str | None = None


class Cells(_Part):
    """Columns whose cells hold several attributes, as `color=red,size=L`."""

    columns: tuple[str, ...]
    item_separator: str = ","
    equals: str = "="
    list_separator: str | None = None


class ValueRules(_Part):
    """How values are written, where an attribute's column says nothing else.

    `decimal_mark` and `date_format` (as of strptime) are empty as long as nobody has said: what can
    then be read in two ways is refused. `default_units` are by attribute.
    """

    list_separator: str = ""
    decimal_mark: Literal["", ".", ","] = ""
    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()
    date_format: Annotated[str, DateFormat] = ""
    default_units: dict[str, str] = Field(default_factory=dict)
    strip_html: bool = True
    image_separator: str = ""
    category_list_separator: str = ""
    category_path_separator: str = ""


class Skipped(_Part):
    """Columns that are no attributes."""

    columns: tuple[str, ...] = ()


class ImportMap(_Part):
    """All of it; see `docs/import.md`."""

    file: FileForm = FileForm()
    columns: ColumnRoles = ColumnRoles()
    attributes: dict[str, AttributeColumn] = Field(default_factory=dict)
    pairs: tuple[Pairs, ...] = ()
    cells: tuple[Cells, ...] = ()
    values: ValueRules = ValueRules()
    categories: dict[str, str] = Field(default_factory=dict)
    aliases: dict[str, str] = Field(default_factory=dict)
    skip: Skipped = Skipped()


Reasons = dict[tuple[str, ...], str]
"""Why something stands in a map: the keys down to it, to a sentence."""
