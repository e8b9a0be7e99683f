"""What a trainer says of an adapter by what was seen of the listings is a view."""

from pathlib import Path

from schemas.events import Interval, ModelEventKind, RoundMetrics
from tests.streams.world import World


def metrics(recall: float, listings: int, **changes: object) -> RoundMetrics:
    share = Interval(value=recall, low=0.0, high=1.0)
    fields = {name: share for name in ("net_benefit", "completeness", "recall", "precision")}
    return RoundMetrics.model_validate(
        {**fields, "listings": listings, "p50_ms": 1, "p90_ms": 2, **changes}
    )


def test_an_adapter_has_a_row_for_each_kind_of_input_and_none_for_one_alone(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    kinds = {"text": metrics(0.7, 40), "text+image": metrics(0.8, 9)}
    told = {"a1": metrics(0.75, 49, by_inputs=kinds), "a2": metrics(0.5, 49)}
    for number, (name, found) in enumerate(told.items(), start=1):
        world.say(
            ModelEventKind.PUBLISHED,
            round=number,
            adapter_id=name,
            adapter_hash=name * 32,
            adapter_uri="somewhere",
            metrics=found,
        )
    rows = world.rows("SELECT adapter_id, inputs, listings, recall FROM models_by_inputs")
    assert rows == [("a1", "text", 40, 0.7), ("a1", "text+image", 9, 0.8)]
    assert world.rows("SELECT recall FROM models WHERE adapter_id = 'a1'") == [(0.75,)]
    world.pool.close()
