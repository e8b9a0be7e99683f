"""What becomes of a request while schemas, champion and engine change. No Kafka, no engine."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    Mode,
    Purpose,
    Status,
    now_ms,
)
from schemas.versions import SchemaVersions
from serving.errors import Busy, ServingError, Unavailable
from serving.generation import GenerationResult
from streams.kafka.control_log import Champion
from streams.predict.answerers import Answerers
from streams.predict.answering import Answerer
from streams.predict.traffic import Traffic
from tests.streams.predict.in_threads import InThreads


def lamps(*colours: str) -> CategorySchema:
    colour = Attribute(name="Colour", type=AttributeType.ENUM, values=colours)
    return CategorySchema(category="Lamps", attributes=(colour,))


OLD, NEW = lamps("red"), lamps("blue", "red")


def request(schema: CategorySchema | None, **changes: Any) -> ListingRequest:
    return ListingRequest(
        **{
            "request_id": "q",
            "listing_id": "l",
            "category": "Lamps",
            "category_schema_hash": schema.hash if schema else "",
            "title": "A lamp",
            **changes,
        }
    )


class FirstValue(InThreads):
    """An engine that says the first allowed value, after it has raised what it is told to."""

    def __init__(self, *first: Exception) -> None:
        self.first = list(first)
        self.asked = 0

    def generate(
        self, _: object, attributes: Any, timeout_s: float | None = None, **__: object
    ) -> GenerationResult:
        self.asked += 1
        if self.first:
            raise self.first.pop(0)
        values = {a.name: [a.values[0]] for a in attributes}
        return GenerationResult(
            values=values, invalid={}, confidence={}, adapter_id="base", adapter_hash="base",
            batches=1, forward_passes=1, tokens_computed=1, logits_computed=1, seconds=0.0,
        )  # fmt: skip


class PredictWorker:
    """The answering part of a predict worker, and the schema file that it looks at.

    champions: who is champion, each time that it is asked for; the last one stays.
    """

    def __init__(
        self,
        file: CategorySchema,
        engine: Any = None,
        champions: Sequence[str] = ("base",),
    ) -> None:
        self.file = file
        self.engine = engine or FirstValue()
        self.champions = list(champions)
        self.versions = SchemaVersions(CategorySchemas([file]))
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        if self.versions.current["Lamps"].hash != self.file.hash:
            self.versions.replace(CategorySchemas([self.file]))

    def traffic(self) -> Traffic:
        hash_ = self.champions.pop(0) if len(self.champions) > 1 else self.champions[0]
        return Traffic(Champion(hash_, hash_, None))

    def answer(
        self, schema: CategorySchema | None, written_ms: int | None = None, **changes: Any
    ) -> ListingPrediction:
        """The answer to a request under `schema`, or under none, whose record is of `written_ms`,
        or of now."""
        asked = request(schema, **changes)
        with ThreadPoolExecutor(1) as executor:
            answerers = Answerers(self.engine, lambda _: None, executor)
            answerer = Answerer(
                self.versions, self.look, self.traffic, answerers, Mode.FREE, executor
            )
            written_ms = now_ms() if written_ms is None else written_ms
            return asyncio.run(answerer.answer(asked, written_ms))


def test_after_a_change_requests_are_answered_by_the_new_schema() -> None:
    worker = PredictWorker(OLD)
    assert worker.answer(OLD).values == {"Colour": ["red"]}
    worker.file = NEW
    worker.look()
    assert worker.answer(NEW).values == {"Colour": ["blue"]}


def test_a_request_made_under_the_schema_before_is_answered_by_that_one() -> None:
    worker = PredictWorker(OLD)
    worker.file = NEW
    worker.look()
    answer = worker.answer(OLD)
    assert (answer.status, answer.values) == (Status.OK, {"Colour": ["red"]})
    assert answer.category_schema_hash == OLD.hash
    assert worker.looks == 1


def test_a_request_made_under_a_schema_that_the_worker_has_not_seen_makes_it_look() -> None:
    worker = PredictWorker(OLD)
    worker.file = NEW  # whoever asks has read it already
    answer = worker.answer(NEW)
    assert (answer.status, answer.values) == (Status.OK, {"Colour": ["blue"]})


def test_a_request_made_under_a_schema_that_is_nowhere_is_told_so() -> None:
    worker = PredictWorker(OLD)
    answer = worker.answer(NEW)
    assert answer.status is Status.FAILED
    assert answer.error is not None
    assert "load the current schema and ask again" in answer.error


def test_a_request_without_a_hash_is_answered_by_the_schema_in_force_which_its_answer_names() -> (
    None
):
    worker = PredictWorker(OLD)
    assert worker.answer(None).category_schema_hash == OLD.hash
    worker.file = NEW
    worker.look()
    answer = worker.answer(None)
    assert (answer.status, answer.values) == (Status.OK, {"Colour": ["blue"]})
    assert answer.category_schema_hash == NEW.hash
    # By which the pool finds the listing's text: the request's row has the same.
    assert answer.input_hash == request(None).input_hash() != request(NEW).input_hash()


def test_an_answer_names_the_schema_that_it_was_made_by_though_that_changes_meanwhile() -> None:
    class Changing(FirstValue):
        def generate(self, *asked: Any, **more: Any) -> GenerationResult:
            worker.file = NEW
            worker.look()
            return super().generate(*asked, **more)

    worker = PredictWorker(OLD, Changing())
    answer = worker.answer(None)
    assert (answer.category_schema_hash, answer.values) == (OLD.hash, {"Colour": ["red"]})


def test_a_category_that_the_worker_has_not_seen_makes_it_look_without_a_hash_too() -> None:
    worker = PredictWorker(OLD)
    assert worker.answer(None, category="Boats").status is Status.FAILED
    assert worker.looks == 1


def test_two_workers_that_change_at_different_moments_answer_each_request_alike() -> None:
    ahead, behind = PredictWorker(OLD), PredictWorker(OLD)
    ahead.file = NEW
    ahead.look()
    for made_under in (OLD, NEW):
        behind.file = NEW
        answers = [worker.answer(made_under) for worker in (ahead, behind)]
        assert [a.status for a in answers] == [Status.OK, Status.OK]
        assert answers[0].values == answers[1].values
        assert answers[0].category_schema_hash == answers[1].category_schema_hash


# ------------------------------------------------------- former names, conditions, what is required


class Says(FirstValue):
    """An engine that says `values`, as far as they are asked for, and keeps the question."""

    def __init__(self, **values: str) -> None:
        super().__init__()
        self.values = values
        self.question: tuple[Any, Any] = (None, None)

    def generate(self, listing: Any, attributes: Any, **__: object) -> GenerationResult:
        self.question = listing, attributes
        asked = [a.name for a in attributes]
        given = {name: [value] for name, value in self.values.items() if name in asked}
        sure = dict.fromkeys(asked, 0.5)
        return GenerationResult(
            values=given, invalid={n: "?" for n in asked if n not in given}, confidence=sure,
            cut=tuple(n for n in asked if n not in given), adapter_id="base", adapter_hash="base",
            batches=1, forward_passes=1, tokens_computed=1, logits_computed=1, seconds=0.0,
        )  # fmt: skip


COLOUR = Attribute(
    name="Colour", type=AttributeType.ENUM, values=("red",), aliases=("Color",), required=True
)
POWER = Attribute(name="Power", type=AttributeType.ENUM, values=("mains", "battery"))
CELL = Attribute(
    name="Cell", type=AttributeType.TEXT, when={"Power": ["battery"]}, required=True
)  # fmt: skip
LIGHTS = CategorySchema(
    category="Lamps", attributes=(COLOUR, POWER, CELL), aliases=("Lights",)
)  # fmt: skip


def test_former_names_are_answered_under_the_names_in_force() -> None:
    engine = Says(Colour="red")
    worker = PredictWorker(LIGHTS, engine)
    answer = worker.answer(LIGHTS, category="Lights", requested=["Color"])
    assert (answer.status, answer.category) == (Status.OK, "Lamps")
    assert (answer.requested, answer.values) == (["Colour"], {"Colour": ["red"]})
    listing, attributes = engine.question
    assert (listing.category, attributes) == ("Lamps", (COLOUR,))


def test_a_former_name_of_a_category_is_no_unknown_one() -> None:
    answer = PredictWorker(LIGHTS).answer(OLD, category="Lights")
    assert answer.error is not None
    assert "load the current schema" in answer.error


def test_an_answer_whose_condition_the_other_answer_does_not_meet_is_left_out() -> None:
    met = PredictWorker(LIGHTS, Says(Power="battery", Cell="AA")).answer(LIGHTS)
    assert met.values == {"Power": ["battery"], "Cell": ["AA"]}
    unmet = PredictWorker(LIGHTS, Says(Power="mains", Cell="AA")).answer(LIGHTS)
    assert unmet.values == {"Power": ["mains"]}
    assert "Cell" not in {*unmet.confidence, *unmet.invalid, *unmet.cut}
    # It was asked for: whether it counts is for the seller's values to say.
    assert unmet.requested == ["Colour", "Power", "Cell"]
    refused = PredictWorker(LIGHTS, Says(Power="mains")).answer(LIGHTS)
    assert (list(refused.invalid), refused.cut) == (["Colour"], ["Colour"])


def test_a_condition_on_what_was_not_asked_for_is_left_to_whoever_asked() -> None:
    answer = PredictWorker(LIGHTS, Says(Cell="AA")).answer(LIGHTS, requested=["Cell"])
    assert answer.values == {"Cell": ["AA"]}


def test_required_attributes_without_a_value_are_named_if_they_apply() -> None:
    worker = PredictWorker(LIGHTS, Says(Power="mains"))
    assert worker.answer(LIGHTS).missing_required == ["Colour"]
    worker = PredictWorker(LIGHTS, Says(Power="battery"))
    assert worker.answer(LIGHTS).missing_required == ["Colour", "Cell"]
    assert worker.answer(LIGHTS, requested=["Power"]).missing_required == []


# ----------------------------------------------------------------- orders of an earlier champion


def test_an_order_whose_adapter_is_no_longer_champion_is_superseded_without_inference() -> None:
    worker = PredictWorker(OLD, champions=["new"])
    answer = worker.answer(OLD, purpose=Purpose.BACKFILL, adapter_hash="old")
    assert (answer.status, answer.purpose) == (Status.SUPERSEDED, Purpose.BACKFILL)
    assert worker.engine.asked == 0


def test_an_order_whose_champion_goes_while_it_waits_for_the_engine_is_superseded() -> None:
    worker = PredictWorker(OLD, FirstValue(Busy("full")), champions=["old", "old", "new"])
    answer = worker.answer(OLD, purpose=Purpose.BACKFILL, adapter_hash="old")
    assert answer.status is Status.SUPERSEDED
    assert worker.engine.asked == 1


# -------------------------------------------------------------------- a slow or absent engine


def test_a_request_waits_for_an_engine_that_is_away_or_full_and_is_answered_once() -> None:
    engine = FirstValue(Unavailable("nobody"), Busy("full"), Unavailable("nobody"))
    answer = PredictWorker(OLD, engine).answer(OLD)
    assert (answer.status, engine.asked) == (Status.OK, 4)


def test_the_clock_of_a_live_request_runs_on_while_it_waits() -> None:
    worker = PredictWorker(OLD, FirstValue(*[Unavailable("nobody")] * 100))
    began = time.monotonic()
    answer = worker.answer(OLD, patience_ms=200)
    assert answer.status is Status.EXPIRED
    assert time.monotonic() - began >= 0.2


def test_a_request_that_expired_before_its_turn_is_answered_without_inference() -> None:
    worker = PredictWorker(OLD)
    answer = worker.answer(OLD, written_ms=now_ms() - 1_001, patience_ms=1_000)
    assert answer.status is Status.EXPIRED
    assert worker.engine.asked == 0


def test_a_service_whose_clock_is_130_s_slow_has_its_requests_answered() -> None:
    slow_ms = now_ms() - 130_000
    worker = PredictWorker(OLD)
    new = worker.answer(OLD, created_ms=slow_ms, patience_ms=5_000)
    old = worker.answer(OLD, created_ms=slow_ms, deadline_ms=slow_ms + 5_000)
    assert [new.status, old.status] == [Status.OK, Status.OK]


def test_a_request_that_expires_during_its_inference_is_answered_expired() -> None:
    class OutOfTime(FirstValue):
        def generate(
            self, _: object, attributes: Any, timeout_s: float | None = None, **__: object
        ) -> GenerationResult:
            assert timeout_s is not None
            self.asked += 1
            time.sleep(timeout_s)
            raise ServingError("no answer in time")

    worker = PredictWorker(OLD, OutOfTime())
    answer = worker.answer(OLD, patience_ms=100)
    assert (answer.status, worker.engine.asked) == (Status.EXPIRED, 1)
