"""The README's example runs as it stands, against the stack that is up."""

import re
from pathlib import Path

import pytest

import infra.settings
from streams.sql.client import SqlError, query
from tests.e2e.conftest import Loop
from tests.waiting import wait_for

README = Path(__file__).parents[2] / "README.md"


def test_the_example_sends_a_listing_and_its_review(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(infra.settings, "ACTIVE", loop.run_dir / "active")
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    exec(compile(example[1], "README.md", "exec"), {})
    # The supervisor may say meanwhile that a worker which a test killed is ready again.
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("default-r1-a1-") for line in said)
    statement = "SELECT count(*) FROM samples WHERE listing_id = '4711'"
    wait_for(lambda: query(loop.settings.streams, statement)[1] == [(1,)], meanwhile=SqlError)
