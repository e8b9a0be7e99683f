"""A workload for the tiny model that takes a second."""

from pathlib import Path

import pytest

from infra.lab.bench import listings
from infra.lab.bench.serving.workload import Workload, prepare


@pytest.fixture(scope="module")
def workload(tiny_base: Path) -> Workload:
    """Three listings with eight attributes each, so that a test takes a second."""
    asked = [listings.Question(q.listing, q.attributes[-8:], {}) for q in listings.generated(3)]
    return prepare(asked, tiny_base)
