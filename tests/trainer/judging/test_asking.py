"""Many listings are asked for at once, and answered in their order."""

import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.events import Mode
from serving.engine.engine import Engine
from serving.errors import EngineFailed
from serving.generation import GenerationRequest, GenerationResult
from serving.pictures.picture import Picture
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.trainer.judging.test_evaluate import KEY, Answers, answer
from trainer.data.dataset import Row
from trainer.judging.asking import answers, question
from trainer.judging.baselines import NearestExample


def asked(row: Row) -> GenerationRequest:
    return question(row, KEY)


def test_the_request_names_adapter_and_mode_and_shows_the_example() -> None:
    rows = make_rows(3)
    seen: list[GenerationRequest] = []

    def remember(request: GenerationRequest) -> GenerationResult:
        seen.append(request)
        return answer({})

    told: list[tuple[int, int]] = []
    shown = NearestExample(rows)
    answers(
        Answers(remember),
        rows,
        lambda row: question(row, KEY, shown(row)),
        progress=lambda done, total: told.append((done, total)),
    )
    assert {request.adapter_hash for request in seen} == {"a" * 64}
    assert {request.mode for request in seen} == {Mode.FREE}
    for request in seen:
        assert request.example is not None
        assert request.example.listing.listing_id != request.listing.listing_id
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_rows_pictures_are_read_when_it_is_that_rows_turn() -> None:
    at_work: list[str] = []
    most = 0

    def ask(row: Row) -> GenerationRequest:
        at_work.append(row.listing.listing_id)
        return question(row, KEY, pictures=[Picture(row.listing.listing_id.encode())])

    def generate(request: GenerationRequest) -> GenerationResult:
        nonlocal most
        most = max(most, len(at_work))
        assert request.pictures == (request.listing.listing_id.encode(),)
        at_work.remove(request.listing.listing_id)
        return answer({})

    answers(Answers(generate), make_rows(5), ask)
    assert most == 1


def named(request: GenerationRequest) -> GenerationResult:
    """An answer that says whose it is."""
    return replace(answer({}), invalid={"listing": request.listing.listing_id})


@pytest.mark.parametrize("in_flight", [1, 3, 100])
def test_with_several_in_flight_answers_and_progress_keep_the_order_of_the_listings(
    in_flight: int,
) -> None:
    rng, lock = random.Random(0), threading.Lock()
    now, most = 0, 0

    def slowly(request: GenerationRequest) -> GenerationResult:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            pause = rng.random() / 100
        time.sleep(pause)
        with lock:
            now -= 1
        return named(request)

    rows = make_rows(20)
    told: list[tuple[int, int]] = []
    made = answers(
        Answers(slowly), rows, asked, in_flight, lambda done, total: told.append((done, total))
    )
    assert [result.invalid["listing"] for result in made] == [r.listing.listing_id for r in rows]
    assert told == [(done, 20) for done in range(1, 21)]
    assert (most == 1) if in_flight == 1 else (1 < most <= in_flight)


def test_the_first_error_is_raised_when_nothing_is_under_way_any_more() -> None:
    rows = make_rows(20)
    begun, ended = [], []

    def failing(request: GenerationRequest) -> GenerationResult:
        begun.append(request)
        time.sleep(0.01)
        ended.append(request)
        if request.listing.listing_id in ("l2", "l3"):
            raise EngineFailed(f"a fault in {request.listing.listing_id}")
        return answer({})

    with pytest.raises(EngineFailed, match="a fault in l2"):
        answers(Answers(failing), rows, asked, 3)
    assert len(begun) == len(ended) < 20


def test_an_engine_answers_several_in_flight_as_one_after_the_other(
    tiny_base: Path, tmp_path: Path
) -> None:
    settings = ServingSettings(
        dtype="float32", decoder="torch", device="cpu", threads=1, adapter_store=tmp_path / "store"
    )
    key = KEY.model_copy(update={"adapter_hash": "base"})
    with Engine(settings, tiny_base) as engine:
        one, four = (
            answers(engine, make_rows(9), lambda row: question(row, key), n) for n in (1, 4)
        )
    # Company changes how much is computed at a time (drafts), and rounds confidences.
    assert [(a.values, a.invalid) for a in one] == [(a.values, a.invalid) for a in four]
