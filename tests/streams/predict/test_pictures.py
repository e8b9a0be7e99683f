"""What becomes of a request that names pictures. No Kafka, no engine, nothing fetched."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, Mode, Purpose, Status, now_ms
from schemas.experiment import Arm, Experiment
from schemas.versions import SchemaVersions
from serving.errors import Busy
from serving.generation import GenerationRequest, GenerationResult
from serving.pictures.looking import Looked
from serving.pictures.picture import Picture
from streams.kafka.control_log import Champion
from streams.predict.answerers import UNSEEN, Answerers
from streams.predict.answering import Answerer
from streams.predict.flow import Gate, Lane, Slot
from streams.predict.traffic import Traffic
from tests.streams.predict.in_threads import InThreads

COLOUR = Attribute(name="Colour", type=AttributeType.ENUM, values=("red", "blue"))
LAMPS = CategorySchema(category="Lamps", attributes=(COLOUR,))
CHAMPION = Champion("a1", "hash-a1", "/registry/a1")
TRIED = Champion("a2", "hash-a2", "/registry/a2")
FRONT, BACK = Picture(b"front"), Picture(b"back")
GONE = "The picture gone.jpg is not got: the file cannot be read (No such file or directory)."


def result(adapter: str, notes: Sequence[str] = ()) -> GenerationResult:
    return GenerationResult(
        values={"Colour": ["red"]}, invalid={}, confidence={}, adapter_id=adapter,
        adapter_hash=adapter, batches=1, forward_passes=1, tokens_computed=1, logits_computed=1,
        seconds=0.0, notes=tuple(notes),
    )  # fmt: skip


class Engine(InThreads):
    """Notes what pictures it is given; says `notes`, after it has raised what it is told to."""

    def __init__(self, *first: Exception, notes: Sequence[str] = ()) -> None:
        self.first = list(first)
        self.notes = notes
        self.given: list[list[bytes]] = []

    def generate(
        self, *_: Any, adapter_hash: str = "base", pictures: Sequence[bytes] = (), **__: Any
    ) -> GenerationResult:
        self.given.append(list(pictures))
        if self.first:
            raise self.first.pop(0)
        return result(adapter_hash, self.notes)


class Endpoint:
    def __init__(self) -> None:
        self.asked = 0

    def answer(
        self, request: GenerationRequest, timeout_s: float | None = None
    ) -> GenerationResult:
        self.asked += 1
        assert request.pictures == ()
        return result("endpoint:smol")


class Eyes:
    """Sees what stands under a URI, or under a hash; `late` seconds pass by before."""

    def __init__(self, late: float = 0.0) -> None:
        self.there: dict[str, Picture] = {"front.jpg": FRONT, "back.jpg": BACK}
        self.late = late
        self.looks: list[list[str]] = []
        self.within: list[float | None] = []
        self.began = threading.Event()

    async def look(self, uris: Sequence[str], within_s: float | None = None) -> Looked:
        self.looks.append(list(uris))
        self.within.append(within_s)
        self.began.set()
        await asyncio.sleep(self.late)
        return Looked(
            tuple(self.there[uri] for uri in uris if uri in self.there),
            tuple(GONE.replace("gone.jpg", uri) for uri in uris if uri not in self.there),
        )

    async def again(self, hashes: Sequence[str]) -> Looked:
        kept = {picture.sha256: picture for picture in self.there.values()}
        self.looks.append(list(hashes))
        return Looked(
            tuple(kept[one] for one in hashes if one in kept),
            tuple(f"The picture '{one}' is not in store." for one in hashes if one not in kept),
        )


def request(**changes: Any) -> ListingRequest:
    fields = {
        "request_id": "q",
        "listing_id": "l",
        "category": "Lamps",
        "title": "A lamp",
        "images": ["front.jpg"],
    }
    return ListingRequest(**fields | changes)


class Worker:
    """The answering part of a predict worker, all of whose sellers are in an arm."""

    def __init__(
        self, engine: Engine | None = None, eyes: Eyes | None = None, answers: str = "champion"
    ) -> None:
        self.engine, self.eyes, self.endpoint = engine or Engine(), eyes or Eyes(), Endpoint()
        arms = (Arm(name="control", answers="champion"), Arm(name="own", answers=answers))
        experiment = Experiment(name="ab", arms=arms).grown({"own": 1.0})
        self.traffic = Traffic(CHAMPION, experiment, adapters={TRIED.hash: TRIED})
        self.gate = Gate(1)

    def answer(self, blind_to_pictures: bool = False, **changes: Any) -> ListingPrediction:
        return asyncio.run(self.answer_beside(request(**changes), blind_to_pictures))

    async def answer_beside(
        self, asked: ListingRequest, blind_to_pictures: bool = False
    ) -> ListingPrediction:
        """The answer; its slot is the only one, and is back at the end."""
        lane = {Purpose.SHADOW: Lane.SHADOW, Purpose.BACKFILL: Lane.BACKFILL}.get(
            asked.purpose, Lane.LIVE
        )
        slot = Slot(self.gate, lane)
        if lane is not Lane.SHADOW:
            await slot.acquire()
        with ThreadPoolExecutor(2) as executor:
            answerer = Answerer(
                SchemaVersions(CategorySchemas([LAMPS])),
                lambda: None,
                lambda: self.traffic,
                Answerers(self.engine, lambda _: None, executor, self.endpoint),
                Mode.FREE,
                executor,
                None if blind_to_pictures else self.eyes,
            )
            answer = await answerer.answer(asked, now_ms(), slot)
        slot.release()
        return answer


def test_the_engine_gets_the_bytes_in_order_and_the_answer_names_them_by_their_hash() -> None:
    worker = Worker()
    answer = worker.answer(images=["back.jpg", "front.jpg"])
    assert worker.engine.given == [[b"back", b"front"]]
    assert (answer.status, answer.values) == (Status.OK, {"Colour": ["red"]})
    assert (answer.pictures, answer.notes) == ([BACK.sha256, FRONT.sha256], [])


def test_a_picture_without_a_text_is_answered() -> None:
    answer = Worker().answer(title="", description=" <br> ")
    assert (answer.status, answer.pictures) == (Status.OK, [FRONT.sha256])


def test_one_that_cannot_be_had_leaves_a_note_and_the_rest_is_answered() -> None:
    worker = Worker()
    answer = worker.answer(images=["gone.jpg", "back.jpg"])
    assert (answer.status, answer.pictures, answer.notes) == (Status.OK, [BACK.sha256], [GONE])
    answer = worker.answer(images=["gone.jpg"])
    assert (answer.status, answer.pictures, answer.notes) == (Status.OK, [], [GONE])


def test_without_a_text_it_is_failed_and_the_reason_says_which_picture_and_why() -> None:
    worker = Worker()
    answer = worker.answer(title="", images=["gone.jpg"])
    assert answer.status is Status.FAILED
    assert GONE in (answer.error or "")
    assert worker.engine.given == []


def test_what_the_engine_does_not_see_is_noted_after_what_could_not_be_had() -> None:
    blind = "The adapter sees no pictures."
    answer = Worker(Engine(notes=[blind])).answer(images=["gone.jpg", "front.jpg"])
    assert answer.notes == [GONE, blind]


def test_pictures_are_got_once_however_often_the_engine_is_asked() -> None:
    worker = Worker(Engine(Busy("later"), Busy("later")))
    assert worker.answer().status is Status.OK
    assert worker.engine.given == [[b"front"]] * 3
    assert worker.eyes.looks == [["front.jpg"]]


def test_while_pictures_are_got_another_request_has_the_slot() -> None:
    async def both() -> list[str]:
        worker = Worker(eyes=Eyes(late=0.2))
        order: list[str] = []

        async def answer(name: str, **changes: Any) -> None:
            await worker.answer_beside(request(request_id=name, **changes))
            order.append(name)

        slow = asyncio.ensure_future(answer("slow"))
        await asyncio.to_thread(worker.eyes.began.wait, 20)
        await answer("text", images=[])
        await slow
        return order

    assert asyncio.run(both()) == ["text", "slow"]


def test_pictures_have_half_of_the_patience_beside_a_text_and_all_of_it_without() -> None:
    worker = Worker()
    worker.answer(patience_ms=60_000)
    worker.answer(patience_ms=60_000, title="")
    worker.answer()
    half, all_, for_ever = worker.eyes.within
    assert half == pytest.approx(30, abs=2)
    assert all_ == pytest.approx(60, abs=2)
    assert for_ever is None


def test_who_gave_up_while_pictures_were_got_is_told_so_and_what_was_kept_is_named() -> None:
    worker = Worker(eyes=Eyes(late=0.1))
    answer = worker.answer(patience_ms=20)
    assert (answer.status, answer.pictures) == (Status.EXPIRED, [FRONT.sha256])
    assert worker.engine.given == []


def test_a_worker_that_looks_at_none_answers_as_before() -> None:
    worker = Worker()
    answer = worker.answer(blind_to_pictures=True)
    assert (answer.status, answer.pictures, answer.notes) == (Status.OK, [], [])
    answer = worker.answer(blind_to_pictures=True, title="")
    assert answer.status is Status.FAILED
    assert "neither title nor description" in (answer.error or "")
    assert worker.eyes.looks == []


def test_nothing_is_looked_at_for_a_listing_without_pictures() -> None:
    worker = Worker()
    assert worker.answer(images=[]).status is Status.OK
    assert worker.answer(images=[], title="").status is Status.FAILED
    assert worker.eyes.looks == []


@pytest.mark.parametrize("purpose", [Purpose.BACKFILL, Purpose.SHADOW])
class TestOrders:
    """What is answered again, by the champion or by an adapter on trial."""

    def order(self, purpose: Purpose, **changes: Any) -> dict[str, Any]:
        adapter = {Purpose.BACKFILL: CHAMPION.hash, Purpose.SHADOW: TRIED.hash}[purpose]
        return {"purpose": purpose, "adapter_hash": adapter, "pictures": [FRONT.sha256], **changes}

    def test_it_sees_what_the_live_request_saw_though_the_uri_is_gone(
        self, purpose: Purpose
    ) -> None:
        worker = Worker()
        answer = worker.answer(**self.order(purpose, images=["gone.jpg"]))
        assert (answer.status, answer.pictures, answer.notes) == (Status.OK, [FRONT.sha256], [])
        assert worker.eyes.looks == [[FRONT.sha256]]

    def test_its_picture_is_gone_so_the_text_is_answered_with_a_note(
        self, purpose: Purpose
    ) -> None:
        worker = Worker()
        worker.eyes.there = {}
        answer = worker.answer(**self.order(purpose))
        assert (answer.status, answer.pictures) == (Status.OK, [])
        assert answer.notes == [f"The picture '{FRONT.sha256}' is not in store."]

    def test_without_a_text_it_is_failed_then(self, purpose: Purpose) -> None:
        worker = Worker()
        worker.eyes.there = {}
        answer = worker.answer(**self.order(purpose, title=""))
        assert answer.status is Status.FAILED
        assert "is not in store" in (answer.error or "")


def test_an_endpoint_is_asked_by_the_text_alone_and_a_note_says_so() -> None:
    worker = Worker(answers="endpoint")
    answer = worker.answer()
    assert (answer.adapter_id, answer.fell_back) == ("endpoint:smol", None)
    # Kept for rounds that learn from what the seller makes of the answer.
    assert (answer.pictures, answer.notes) == ([FRONT.sha256], [UNSEEN])
    assert worker.answer(images=[]).notes == []


def test_a_listing_without_a_text_is_left_to_the_champion_in_place_of_an_endpoint() -> None:
    worker = Worker(answers="endpoint")
    answer = worker.answer(title="")
    assert (answer.adapter_hash, answer.status) == (CHAMPION.hash, Status.OK)
    assert answer.fell_back is not None
    assert (worker.endpoint.asked, worker.engine.given) == (0, [[b"front"]])


def test_a_blind_answer_suggests_nothing_and_its_pictures_are_kept() -> None:
    worker = Worker(answers="blind")
    answer = worker.answer(title="")
    assert (answer.status, answer.values, answer.pictures) == (Status.OK, {}, [FRONT.sha256])
    assert worker.engine.given == []
