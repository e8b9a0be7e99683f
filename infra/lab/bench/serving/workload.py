"""What every arm is given: the same listings, as the same token ids.

The prompts are tokenised once, by Listune's own prompt builder, and handed to the arms' processes
as a file. So the peers get exactly our ids, our caps and our stop tokens, and none of them spends
time or memory on a tokenizer. No torch here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.lab.bench.listings import Question, full_answer, read_vocabulary
from schemas.category import Attribute
from serving.listing import Listing
from serving.prompt import PromptBuilder
from serving.prompt_texts import CHARACTERS_PER_TOKEN, hint, segment_text, trunk_text
from serving.settings import ServingSettings

BATCHES = (1, 4, 0)
"""The numbers of branches B that are measured; 0 stands for one an attribute, |A|."""

FIELDS = ("listing_id", "category", "title", "description")
"""Of a listing, all that the prompt is made of."""

LEAD = '{"'
"""Begins the JSON answer, so that a base model writes JSON and not a sentence about it."""


@dataclass(frozen=True)
class ListingPlan:
    """One listing as token ids.

    Attributes:
        questions: the ids of `name (hint):` of each attribute.
        caps: the most new tokens of each answer, stop included.
        branches: B as a string to its branches, each a list of indices into `questions`.
        schema_trunk: the ids of a trunk that has all questions before the product, so that a
            prefix cache keeps them for a category.
        names: the ids of `name:` of each attribute, which are asked after that trunk.
        json_prompt: the ids of the product, the schema and the request for JSON.
        json_tokens: how many tokens a complete JSON answer has.
    """

    listing: dict[str, Any]
    attributes: list[dict[str, Any]]
    trunk: list[int]
    questions: list[list[int]]
    caps: list[int]
    branches: dict[str, list[list[int]]]
    schema_trunk: list[int]
    names: list[list[int]]
    json_prompt: list[int]
    json_tokens: int

    def question(self) -> tuple[Listing, tuple[Attribute, ...]]:
        """The listing and its attributes as the engine takes them."""
        listing = Listing(**self.listing)
        return listing, tuple(Attribute.model_validate(entry) for entry in self.attributes)


@dataclass(frozen=True)
class Workload:
    """All listings of one set, and the tokens that end an answer."""

    newline: int
    stop_ids: list[int]
    plans: list[ListingPlan]

    def write(self, path: Path) -> None:
        """Keep it for an arm's process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Workload":
        """The workload that `write` kept."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**content | {"plans": [ListingPlan(**plan) for plan in content["plans"]]})


def prepare(questions: Sequence[Question], base: Path) -> Workload:
    """Tokenise `questions` with the tokenizer in the folder `base`, as the engine would."""
    vocabulary = read_vocabulary(base)
    builder = PromptBuilder(vocabulary, ServingSettings())
    return Workload(
        newline=vocabulary.newline,
        stop_ids=sorted(vocabulary.stop_ids),
        plans=[_tokenize(question, builder) for question in questions],
    )


def _tokenize(question: Question, builder: PromptBuilder) -> ListingPlan:
    vocabulary, settings = builder.vocabulary, builder.settings
    listing, attributes = question.listing, question.attributes
    place = {attribute.name: number for number, attribute in enumerate(attributes)}
    branches = {}
    for batches in BATCHES:
        tree = builder.tree(listing, attributes, batches=batches)
        branches[str(batches)] = [[place[s.attribute.name] for s in b] for b in tree.branches]
    written = json.dumps(full_answer(question), ensure_ascii=False).removeprefix(LEAD)
    return ListingPlan(
        listing={field: getattr(listing, field) for field in FIELDS},
        attributes=[attribute.model_dump(mode="json") for attribute in attributes],
        trunk=list(builder.trunk(listing).ids),
        questions=[list(builder.segment(attribute).ids) for attribute in attributes],
        caps=[builder.cap(attribute) for attribute in attributes],
        branches=branches,
        schema_trunk=_schema_trunk(question, builder),
        names=[vocabulary.encode(f"{attribute.name}:") for attribute in attributes],
        json_prompt=vocabulary.encode(_json_prompt(question, settings)),
        json_tokens=len(vocabulary.encode(written)),
    )


def _schema_trunk(question: Question, builder: PromptBuilder) -> list[int]:
    """The category, the questions of all attributes, and then the product."""
    vocabulary, settings = builder.vocabulary, builder.settings
    limit = settings.max_trunk_tokens
    category, *product = trunk_text(question.listing, limit * CHARACTERS_PER_TOKEN).split("\n")
    asked = [segment_text(a, settings).removesuffix(":") for a in question.attributes]
    lines = [vocabulary.encode(line) for line in [category, *asked]]
    text = vocabulary.encode("\n".join(product))[: limit - 1]
    return [token for line in [*lines, text] for token in (*line, vocabulary.newline)]


def _json_prompt(question: Question, settings: ServingSettings) -> str:
    """The naive prompt: everything at once, and all values wanted in one JSON object."""
    limit = settings.max_trunk_tokens * CHARACTERS_PER_TOKEN
    schema = {a.name: hint(a, settings.hint_values) for a in question.attributes}
    return (
        f"{trunk_text(question.listing, limit)}\n"
        f"Attributes: {json.dumps(schema, ensure_ascii=False)}\n"
        f"The values of all attributes of this product as one JSON object:\n{LEAD}"
    )
