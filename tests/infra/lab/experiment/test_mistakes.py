"""Every value of the catalog is counted once: right, wrong, illegal or blank."""

from infra.lab.experiment.mistakes import mistakes, wrong_answers
from schemas.category import Attribute, AttributeType
from serving.generation import GenerationResult
from serving.listing import Listing
from trainer.data.dataset import Row
from trainer.judging.evaluate import Evaluation, EvaluationKey, score

COLOUR = Attribute(name="Colour", type=AttributeType.ENUM, values=("red", "blue"))
MAKER = Attribute(name="Maker", type=AttributeType.TEXT)
MODEL = Attribute(name="Model", type=AttributeType.TEXT)
ROW = Row(
    Listing("1", "Mugs", "A red mug by Norvik", ""),
    (COLOUR, MAKER, MODEL),
    {"Colour": ["red"], "Maker": ["Norvik"], "Model": ["M-3"]},
)


def answered(**changes):
    answer = {"values": {}, "invalid": {}, "confidence": {}} | changes
    result = GenerationResult(
        **answer,
        adapter_id="a",
        adapter_hash="h",
        batches=3,
        forward_passes=1,
        tokens_computed=1,
        logits_computed=1,
        seconds=1.0,
    )
    key = EvaluationKey.of_baseline("a", "rows")
    return Evaluation(key=key, adapter_id="a", listings=[score(ROW, result)], seconds=1.0)


def test_each_value_is_counted_once_and_where_it_stands():
    found = answered(values={"Maker": ["red"]}, invalid={"Colour": "green"})
    enum, text, unknown = sorted(mistakes([ROW], found), key=lambda m: (m.type, not m.in_text))
    assert (enum.type, enum.in_text, enum.illegal) == ("enum", True, 1)
    assert (text.in_text, text.wrong, text.copied) == (True, 1, 1), "red was read for the maker"
    assert (unknown.in_text, unknown.blank, unknown.values) == (False, 1, 1)


def test_the_first_wrong_answer_of_a_listing_is_shown():
    found = answered(values={"Colour": ["red"], "Maker": ["Nordhaus"]})
    (shown,) = wrong_answers([ROW], found)
    assert (shown.attribute, shown.answer, shown.catalog) == ("Maker", "Nordhaus", "Norvik")
    assert shown.in_text
