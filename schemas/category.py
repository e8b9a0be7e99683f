"""What a category asks a listing for: attributes, their types and their limits.

A `CategorySchema` is immutable and has a hash of its content, which travels in every request,
prediction and review, so that a value is always judged by the schema that it was asked under.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.errors import SchemaError

# Bounds on a schema, so that a hostile one is refused here and never reaches the engine.
MAX_ALLOWED_VALUES = 10_000
MAX_PATTERN_LENGTH = 200
MAX_NAME_LENGTH = 100
DEFAULT_TEXT_LENGTH = 80
VALUE_SEPARATOR = "|"
"""Stands between the values of a multi-valued attribute where they are written as one line."""
DEFAULT_MAX_VALUES = 8
DEFAULT_PLACEHOLDERS = (
    "-", "--", "---", "–", "—", "_", ".", "..", "...", "?", "??", "???", "/", "*",
    "n/a", "#n/a", "na", "n.a.", "n.a", "n. a.", "n/d", "n.d.", "nil", "null", "none", "nan",
    "unknown", "unk", "undefined", "unspecified", "tbd", "tba", "tbc", "t.b.d.",
    "to be determined", "to be defined", "not applicable", "not available", "not specified",
    "not known", "not provided", "no data", "no value", "missing",
    "k.a.", "k. a.", "keine angabe", "unbekannt", "inconnu", "non renseigné", "desconocido",
)  # fmt: skip
"""What people and systems write where they have no value; compared without letter case."""


class AttributeType(StrEnum):
    """The kinds of value that an attribute can ask for."""

    ENUM = "enum"  # one of `values`
    NUMBER = "number"  # a decimal number, with one of `units` where any are given
    BOOLEAN = "boolean"  # "yes" or "no"
    PATTERN = "pattern"  # matches the regular expression `pattern` as a whole
    TEXT = "text"  # free text of at most `max_length` characters
    DATE = "date"  # ISO 8601, YYYY-MM-DD


IDENTIFIERS = frozenset(("gtin", "ean", "upc", "isbn", "issn", "mpn", "asin", "sku"))

# fmt: off
ALWAYS_HASHED = frozenset((
    "name", "type", "values", "units", "minimum", "maximum", "pattern", "max_length",
    "multi_value", "max_values", "required", "description",
))
# fmt: on
"""The fields of an attribute that are part of its schema's hash whether they are set or not."""


class Attribute(BaseModel):
    """One attribute of a category. Unknown fields are ignored, ill-typed ones are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    type: AttributeType
    values: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    max_length: int | None = Field(default=None, ge=1, le=10_000)
    multi_value: bool = False
    max_values: int = Field(default=DEFAULT_MAX_VALUES, ge=1, le=100)
    required: bool = False
    description: str = ""
    bound_unit: str | None = None  # of `minimum` and `maximum`; None: the first of `units`
    locale: str | None = None  # how numbers are written, such as de-DE; None: the category's
    placeholders: tuple[str, ...] | None = None  # None: the category's

    @field_validator("locale")
    @classmethod
    def _locale_is_known(cls, locale: str | None) -> str | None:
        return check_locale(locale)

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if "\n" in self.name or self.name != self.name.strip():
            raise ValueError("the name must be one line without space at its ends")
        if self.type is AttributeType.ENUM:
            if not self.values:
                raise ValueError("an enum needs at least one entry in `values`")
            if len(self.values) > MAX_ALLOWED_VALUES:
                raise ValueError(f"has more than {MAX_ALLOWED_VALUES} `values`; make it a text")
        if any("\n" in value or not value.strip() for value in (*self.values, *self.units)):
            raise ValueError("`values` and `units` must be non-empty single lines")
        if self.multi_value and any(VALUE_SEPARATOR in value for value in self.values):
            raise ValueError(
                f"`values` of a multi-valued attribute cannot have {VALUE_SEPARATOR!r}"
            )
        if self.type is AttributeType.PATTERN:
            _check_pattern(self.pattern)
        if self.bound_unit is not None and self.bound_unit not in self.units:
            raise ValueError(f"`bound_unit` {self.bound_unit!r} is none of `units`; add it there")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"`minimum` {self.minimum} is above `maximum` {self.maximum}")
        return self

    @property
    def text_length(self) -> int:
        """The longest legal text value, in characters."""
        return self.max_length or DEFAULT_TEXT_LENGTH

    @property
    def is_numbered_identifier(self) -> bool:
        """Whether it asks for an identifier as a number, to which leading zeros mean nothing."""
        words = re.split(r"[\W_\d]+", self.name.casefold())
        return self.type is AttributeType.NUMBER and not IDENTIFIERS.isdisjoint(words)


def check_locale(locale: str | None) -> str | None:
    """`locale`, where Babel knows it.

    Raises:
        ValueError: it does not.
    """
    if locale is not None:
        from babel import Locale, UnknownLocaleError

        try:
            Locale.parse(locale, sep="-" if "-" in locale else "_")
        except (ValueError, UnknownLocaleError):
            raise ValueError(
                f"{locale!r} is no known locale; write one such as en-US or de-DE"
            ) from None
    return locale


def _check_pattern(pattern: str | None) -> None:
    if not pattern:
        raise ValueError("a pattern attribute needs a regular expression in `pattern`")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"`pattern` is longer than {MAX_PATTERN_LENGTH} characters")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`pattern` is no regular expression: {error}") from error
    # Python's matcher backtracks: a repeated group that itself repeats can take exponential time.
    if re.search(r"[+*}]\)[+*{]", pattern):
        raise ValueError("`pattern` repeats a repetition, which can hang a matcher; rewrite it")


class CategorySchema(BaseModel):
    """The attributes that one category asks for, in the order in which a form would show them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    category: str = Field(min_length=1)
    attributes: tuple[Attribute, ...]
    locale: str | None = None  # how sellers write numbers, such as de-DE; None: the plain rule
    placeholders: tuple[str, ...] | None = None  # what stands for no value; None: the usual words

    @field_validator("locale")
    @classmethod
    def _locale_is_known(cls, locale: str | None) -> str | None:
        return check_locale(locale)

    @model_validator(mode="after")
    def _attributes_know_what_holds_for_all(self) -> Self:
        """An attribute travels alone: to the engine, and to the trainer."""
        own = {"locale": self.locale, "placeholders": self.placeholders}
        own = {name: value for name, value in own.items() if value is not None}
        if own:
            # The model is frozen for everyone else.
            self.__dict__["attributes"] = tuple(
                a.model_copy(update={n: v for n, v in own.items() if getattr(a, n) is None})
                for a in self.attributes
            )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for attribute in self.attributes:
            if attribute.name in seen:
                raise ValueError(f"attribute {attribute.name!r} is defined twice")
            seen.add(attribute.name)
        return self

    @cached_property
    def by_name(self) -> Mapping[str, Attribute]:
        """Attribute by its name."""
        return {attribute.name: attribute for attribute in self.attributes}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of this schema, 64 hexadecimal digits.

        Fields that came later than the first hashes count only where they are set, so that a
        schema that does without them keeps its hash.
        """
        fields = self.model_dump(mode="json", exclude_defaults=True)
        fields["attributes"] = [
            a.model_dump(mode="json", include=ALWAYS_HASHED)
            | a.model_dump(mode="json", exclude_defaults=True)
            for a in self.attributes
        ]
        content = json.dumps(fields, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def select(self, names: Iterable[str] | None) -> tuple[Attribute, ...]:
        """The attributes called `names`, in the schema's order; all of them for None.

        Raises:
            SchemaError: a name that this category does not have.
        """
        if names is None:
            return self.attributes
        wanted = set(names)
        unknown = sorted(wanted - self.by_name.keys())
        if unknown:
            raise SchemaError(
                f"category {self.category!r} has no attribute {', '.join(map(repr, unknown))}; "
                "ask only for attributes of its schema"
            )
        return tuple(a for a in self.attributes if a.name in wanted)


class CategorySchemas(Mapping[str, CategorySchema]):
    """All categories of a marketplace, by name."""

    def __init__(self, schemas: Iterable[CategorySchema]) -> None:
        self._schemas = {schema.category: schema for schema in schemas}

    def __getitem__(self, category: str) -> CategorySchema:
        return self._schemas[category]

    def __iter__(self) -> Iterator[str]:
        return iter(self._schemas)

    def __len__(self) -> int:
        return len(self._schemas)
