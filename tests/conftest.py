"""How the tests are dealt out where several processes run them, as `make test` does."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share servers and models, those of `e2e` a whole stack: in one process."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = "e2e" if file.startswith("tests/e2e/") else file
        item.add_marker(pytest.mark.xdist_group(group))
