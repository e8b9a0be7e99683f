"""From where on a decision is made; all of these are judgements, and the notes of a schema name
what they cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The thresholds of an induction; shares are of the values that were seen.

    distinct: different values kept of an attribute of a category; the others are counted only.
    kept: different values, attributes and categories kept in all, which bounds the memory; a long
        one counts for each 64 characters.
    enough: products from which on a category, or an attribute in it, goes by its own values.
    filled: the share of a category's products below which an attribute is not asked for.
    common: the share of a parent's products from which on a small category asks for it, too.
    agreed: the share of values that must be of a kind for the attribute to be of it.
    covered: the share of values that the options of an enum must be.
    own: a small category goes by its own values where its parent's rules are right for less.
    options, repeats: of an enum at most so many options, seen so often each on average.
    fewest: values that an enum must have, and a small category to be stricter than its parent.
    cut_from: values from which on an option that was seen once is cut off.
    several: the share of filled products with more than one value that makes it multi-valued.
    coded: different values of one form that make a pattern.
    bounded: numbers that must be seen for a maximum.
    """

    distinct: int = 1_000
    kept: int = 1_000_000
    enough: int = 20
    filled: float = 0.05
    common: float = 0.5
    agreed: float = 0.9
    covered: float = 0.9
    own: float = 0.9
    options: int = 200
    repeats: float = 2.0
    fewest: int = 5
    cut_from: int = 50
    several: float = 0.02
    coded: int = 15
    bounded: int = 20
