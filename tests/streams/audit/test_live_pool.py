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
    served = Served(tmp_path)
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
