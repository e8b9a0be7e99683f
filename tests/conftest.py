"""The parts that `make fetch` brings, which tests use them, and how tests are dealt out.

A test that uses Kafka, Triton or the base model takes it from a fixture of this file, directly or
through another fixture. That marks it with `parts`; `make unit` runs the tests without the mark.
Any other way to a part is refused to a test without the mark, in every run.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import fetch
from infra.local.settings import LocalSettings

PARTS = {"kafka_jars", "triton_home", "base_model"}
"""The fixtures below, each of which is a part."""

WHOLE_STACK = "tests/e2e/"
"""The folder whose tests start the stack by its own commands, which find the parts themselves."""


# A broker lives for a few tests: what Java's second compiler takes, it does not earn back. Starting
# one costs 4.9 s of a core in place of 8.4.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Kafka's jars."""
    return fetch.ensure_part(fetch.kafka_part(), LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def triton_home() -> Path:
    """The unpacked Triton server."""
    return fetch.ensure_part(fetch.triton_part(), LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def base_model() -> Path:
    """SmolLM2-135M-Instruct."""
    return fetch.ensure_base_model(LocalSettings().cache_dir)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        file = item.nodeid.partition("::")[0]
        whole_stack = file.startswith(WHOLE_STACK)
        # A file's tests share servers and models, those of `e2e` a whole stack: in one process.
        item.add_marker(pytest.mark.xdist_group("e2e" if whole_stack else file))
        if whole_stack or PARTS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Refuses the parts to a test without the mark, and to the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("parts") is None:
            patch.setattr(fetch, "ensure", _refuse)
            patch.setenv("LISTUNE_LOCAL__CACHE_DIR", os.devnull)
        return (yield)


def _refuse(part: fetch.Part, *_: object, **__: object) -> Path:
    raise AssertionError(
        f"This test asks for {part.label}: take it from one of the fixtures {sorted(PARTS)}."
    )
