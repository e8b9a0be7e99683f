"""The draw over the public endpoint of a pool that is being written to."""

from functools import partial
from pathlib import Path

import pytest

from streams.audit.report import read_completeness
from streams.audit.sampling import draw, texts
from streams.sql.client import ask_writer, query
from tests.streams.audit.test_sampling import sell
from tests.streams.sql.test_server import Served


@pytest.mark.slow
def test_a_sample_is_drawn_and_its_texts_are_read_over_the_endpoint(tmp_path: Path) -> None:
    served = Served(tmp_path, timeout_s=60)
    try:
        sell(served.world, 20)
        ask = partial(query, served.settings)
        sample = draw(ask, "live", 12, seed=7)
        assert len(sample.items) == 12
        assert {tuple(item.value) for item in sample.items} <= {
            ("red",),
            ("30 cm",),
            ("it's loft",),
        }
        found = texts(partial(ask_writer, served.settings), sample.items)
        assert found.keys() == {item.prediction_id for item in sample.items}
        assert read_completeness(ask).keys() == {"base"}
    finally:
        served.close()


@pytest.mark.slow
def test_what_streams_for_longer_than_the_servers_look_at_the_writer_comes_whole(
    tmp_path: Path,
) -> None:
    served = Served(tmp_path, timeout_s=60)
    try:
        served.world.pool.con.execute(
            """
            INSERT INTO store.predictions (request_id, prediction_id, listing_id, category, status,
                                           purpose, "values", adapter_id, timestamp_ms)
            SELECT 'q' || i, 'p' || i, 'l' || i, 'Lamps', 'ok', 'live',
                   to_json(map_from_entries([{'k': 'A' || j, 'v': ['v']} for j in range(20)])),
                   'r1', 1 FROM range(40000) t(i)
            """
        )
        many = "SELECT count(*) FROM suggestions WHERE adapter_id = 'r1'"
        assert query(served.settings, many)[1] == [(800_000,)]
    finally:
        served.close()
