"""A judge shows what was seen of a listing, and judges what can still be seen."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from schemas.events import Mode, RoundMetrics
from serving.generation import GenerationRequest, GenerationResult
from serving.pictures.picture import Picture
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from serving.settings import ServingSettings
from tests.builders import make_rows
from tests.trainer.judging.test_evaluate import answer
from trainer.data.dataset import Row
from trainer.errors import DataError
from trainer.judging.evaluation_store import AnswerStore, EvaluationStore, Kept
from trainer.judging.judge import Judge, LazyEngine, metrics_of
from trainer.settings import TrainerSettings

RED, BLUE = Picture(b"red"), Picture(b"blue")


class Asked:
    """A judge's world: an engine that remembers what it was asked, and a store of pictures."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[GenerationRequest] = []
        self.store = PictureStore(str(folder / "pictures"))
        self.store.write(RED)
        self._kept = Kept(EvaluationStore(folder / "scores"), AnswerStore(folder / "answers"))
        self._looking = LookingSettings(store=str(folder / "pictures"))

    def judge(self, *rows: Row, pictures: int = 1, **changed: Any) -> Judge:
        settings = ServingSettings(pictures=pictures, looking=self._looking, **changed)
        engine = SimpleNamespace(base_hash="b" * 64, having=lambda adapter: self)
        return Judge(
            rows, settings, cast(LazyEngine, engine), self._kept, 1, lambda stage, done, total: None
        )

    def generate(self, request: GenerationRequest) -> GenerationResult:
        self.requests.append(request)
        return answer({})


@pytest.fixture
def world(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def seen(row: Row, *pictures: Picture, **listing: str) -> Row:
    hashes = tuple(picture.sha256 for picture in pictures)
    return replace(row, listing=replace(row.listing, **listing), pictures=hashes)


def test_whoever_is_judged_is_given_the_pictures_of_each_listing(world: Asked) -> None:
    first, second = make_rows(2)
    judge = world.judge(seen(first, RED), second)
    judge.evaluate(None, "judge base")
    judge.baseline("looks", lambda: world, "judge looks")
    adapter = cast(Any, SimpleNamespace(hash="c" * 64))
    judge.ask(adapter, judge.rows, Mode.CONSTRAINED, "calibrate")
    assert [request.pictures for request in world.requests] == [(b"red",), ()] * 3
    assert [request.mode for request in world.requests[4:]] == [Mode.CONSTRAINED] * 2


def test_with_no_picture_looked_at_none_is_given_and_the_answers_are_others(world: Asked) -> None:
    row = seen(make_rows(1)[0], RED)
    world.judge(row, pictures=1).evaluate(None, "judge base")
    world.judge(row, pictures=0).evaluate(None, "judge base")
    world.judge(row, pictures=1).evaluate(None, "judge base")
    assert [request.pictures for request in world.requests] == [(b"red",), ()]


@pytest.mark.parametrize("changed", [{"picture_edge": 64}, {"picture_place": "last"}])
def test_what_changes_how_a_picture_is_seen_asks_anew(
    world: Asked, changed: dict[str, Any]
) -> None:
    row = seen(make_rows(1)[0], RED)
    for settings in ({}, changed, {}, changed):
        world.judge(row, **settings).evaluate(None, "judge base")
    assert len(world.requests) == 2


def test_a_listing_whose_picture_is_gone_is_judged_from_its_text_or_not_at_all(
    world: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = make_rows(3)
    gone = seen(second, BLUE, title="", description="")
    with caplog.at_level(logging.WARNING):
        judge = world.judge(seen(first, BLUE), gone, third)
    scores = judge.evaluate(None, "judge base").listings
    assert [score.listing_id for score in scores] == ["l0", "l2"]
    assert [score.inputs for score in scores] == ["text", "text"]
    assert len(caplog.records) == 1
    with pytest.raises(DataError, match="none of 1 held-out listings has a text"):
        world.judge(gone)


def test_the_metrics_of_several_kinds_of_input_are_told_for_each(world: Asked) -> None:
    texts = make_rows(4)
    trainer = TrainerSettings(bootstrap_draws=100)
    alone = metrics_of(world.judge(*texts).evaluate(None, "judge base"), trainer)
    assert alone.by_inputs is None
    pictured = [seen(row, RED, title="", description="") for row in make_rows(2, seed=1)]
    both = metrics_of(world.judge(*texts, *pictured).evaluate(None, "judge base"), trainer)
    assert both.by_inputs is not None
    assert {kind: own.listings for kind, own in both.by_inputs.items()} == {"image": 2, "text": 4}
    assert both.by_inputs["text"].net_benefit == alone.net_benefit
    again = RoundMetrics.model_validate_json(both.model_dump_json())
    assert again == both
    before = both.model_dump(mode="json", exclude={"by_inputs"})
    assert RoundMetrics.model_validate(before).by_inputs is None
