"""Each test of the audit has logs of its own."""

import pytest

from tests.infra.lab.chaos.logs import World


@pytest.fixture
def world() -> World:
    return World()
