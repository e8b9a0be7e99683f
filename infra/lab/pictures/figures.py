"""What was measured, as data: enough to draw every table and the picture again.

Answers are kept as counts a listing (`infra.lab.experiment.figures`), for each of the three ways in
which a test product is shown.
"""

from typing import Any

from pydantic import BaseModel

from infra.lab.experiment.figures import AnswerCounts, Begun, Sealed
from trainer.judging.evaluate import Inputs

VIEWS: tuple[Inputs, ...] = ("text", "image", "text+image")
"""What is shown of a product."""

SEES, READS = "Listune, pictures", "Listune, text"
ARMS = (SEES, READS)
MAJORITY, NEAREST_TEXT, NEAREST_PICTURE = "majority", "nearest text", "nearest picture"
FILLED = " +"
"""Ends the name of a neighbour whose blanks come from the next most similar ones."""


class Trained(BaseModel):
    """How an arm's adapter came about under one seed."""

    catalog: str
    arm: str
    seed: int
    adapter: str  # hash
    listings: int
    steps: int
    label_tokens: int
    seconds: float
    losses: list[float]


class CatalogFigures(BaseModel):
    """One catalog. `answers` are of `test`'s listings in that order."""

    name: str
    products: int
    warnings: list[str]
    parts: dict[str, int]
    mix: dict[Inputs, int]  # of the rows that were trained on
    heldout: dict[str, list[str]]  # held-out part to its listings
    test: Sealed
    answers: dict[Inputs, dict[str, list[AnswerCounts]]]  # by view and name; arms one a seed


class TrialFigures(BaseModel):
    """One thing that was tried: the arm that looks, on a catalog's calibration listings."""

    about: str
    name: str
    catalog: str
    steps: int
    last_loss: float  # mean of the last tenth of the steps
    asked: Sealed
    answers: dict[Inputs, AnswerCounts]
    losses: dict[Inputs, list[float]]  # of each listing, nats a label token


class PicturesFigures(BaseModel):
    """The whole run, as far as it has come."""

    profile: str
    settings: dict[str, Any]  # of the profile
    encoder: str
    begun: Begun
    trials: list[TrialFigures]
    trained: list[Trained]
    catalogs: list[CatalogFigures]
