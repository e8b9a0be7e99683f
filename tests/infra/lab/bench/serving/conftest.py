"""A tiny model, and a workload for it that takes a second."""

from pathlib import Path

import pytest

from infra.lab.bench import listings
from infra.lab.bench.serving.workload import Workload, prepare
from infra.local.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def workload(tiny: Path) -> Workload:
    """Three listings with eight attributes each, so that a test takes a second."""
    asked = [listings.Question(q.listing, q.attributes[-8:], {}) for q in listings.generated(3)]
    return prepare(asked, tiny)
