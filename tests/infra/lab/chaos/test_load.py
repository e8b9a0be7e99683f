"""The load goes on at its rate whatever becomes of the requests, and keeps what was confirmed."""

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from infra.catalogs.generate import generate
from infra.catalogs.sellers import Seller, SellerSettings
from infra.lab.chaos import load as load_module
from infra.lab.chaos.load import Load
from schemas.events import ListingPrediction, ListingRequest, ListingReview, Status, new_id
from streams.errors import DeliveryError, PredictionTimeout
from streams.settings import StreamsSettings
from tests.waiting import wait_for

SCHEMAS, PRODUCTS = generate(1, 3)


class FakeClient:
    """The SDK, answering as `behave` says; it confirms what it does not raise on."""

    behave: Callable[[str], Status] = staticmethod(lambda _: Status.OK)

    asked_by: ClassVar[list[str]] = []

    def __init__(self, settings: Any, schemas: Any, on_stored: Callable[[Any], None]) -> None:
        self._stored = on_stored

    def predict(self, **listing: Any) -> ListingPrediction:
        listing_id, category = listing["listing_id"], listing["category"]
        identity = {
            "request_id": new_id(),
            "listing_id": listing_id,
            "category": category,
            "category_schema_hash": SCHEMAS[category].hash,
        }
        FakeClient.asked_by.append(listing["seller_id"])
        status = FakeClient.behave(listing_id)
        self._stored(ListingRequest(**identity))
        return ListingPrediction(prediction_id=new_id(), input_hash="", status=status, **identity)

    def review(self, prediction: ListingPrediction, shown: Any, submitted: Any) -> None:
        self._stored(
            ListingReview(
                review_id=new_id(),
                prediction_id=prediction.prediction_id,
                **prediction.model_dump(
                    include={"request_id", "listing_id", "category", "category_schema_hash"}
                ),
            )
        )

    def flush(self, deadline_s: float) -> None:
        pass

    def close(self) -> None:
        pass


def make_load(monkeypatch: pytest.MonkeyPatch, behave: Callable[[str], Status]) -> Load:
    monkeypatch.setattr(load_module, "ListuneClient", FakeClient)
    monkeypatch.setattr(FakeClient, "behave", staticmethod(behave))
    return Load(StreamsSettings(), SCHEMAS, PRODUCTS, Seller(1, SellerSettings()), rate=100.0)


def test_listings_go_on_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    silence = threading.Event()

    def never(listing_id: str) -> Status:
        asked.append(listing_id)
        silence.wait(10)
        return Status.OK

    with make_load(monkeypatch, never):
        try:
            wait_for(lambda: len(asked) > 20)
        finally:
            silence.set()
    assert len(set(asked)) == len(asked), "a listing listed again has another name"


def test_sellers_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "SELLERS", 3)
    served = threading.Semaphore(0)
    monkeypatch.setattr(FakeClient, "asked_by", [])

    def answer(_: str) -> Status:
        served.release()
        return Status.OK

    with make_load(monkeypatch, answer):
        for _ in range(7):
            served.acquire(timeout=10)
    assert set(FakeClient.asked_by) == {"seller-0", "seller-1", "seller-2"}


def test_only_what_was_confirmed_is_kept_and_only_what_was_answered_is_reviewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = iter([Status.OK, Status.EXPIRED, PredictionTimeout("late"), DeliveryError("dead")])

    def in_turn(listing_id: str) -> Status:
        turn = next(turns, Status.EXPIRED)
        if isinstance(turn, Exception):
            raise turn
        return turn

    with make_load(monkeypatch, in_turn) as load:
        time.sleep(0.3)
    outcomes = load.stored.outcomes
    assert (outcomes["ok"], outcomes["no answer"], outcomes["not sent"]) == (1, 1, 1)
    assert len(load.stored.requests) == outcomes["ok"] + outcomes["expired"]
    assert len(load.stored.reviews) == 1
