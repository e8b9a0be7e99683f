"""The settings that a stack resolves for its processes."""

from pathlib import Path

import pytest
from rich.console import Console

from infra.settings import load_settings
from infra.stack import resolve


def test_what_an_endpoint_has_cost_today_is_in_one_file_whatever_the_run_and_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    made = [
        resolve(load_settings(), Path(run), {"base": tmp_path}, Console(quiet=True))
        for run in ("one", "two")
    ]
    files = {settings.serving.endpoint.spend_file for settings in made}
    assert files == {tmp_path / "runs" / "endpoint-spend.json"}
