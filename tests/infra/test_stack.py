"""The settings that a stack resolves for its processes."""

from pathlib import Path

import pytest
from rich.console import Console

from infra import stack
from infra.settings import Settings, load_settings
from infra.stack import ensure_parts, resolve
from serving.pictures.settings import LookingSettings

QUIET = Console(quiet=True)


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


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The base's folder, in the place of all that is fetched."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.setattr(stack, "ensure_all", lambda *_: {"base": tmp_path})
    monkeypatch.setattr(stack, "ensure_encoder", lambda *_: tmp_path / "encoder")
    return tmp_path


def test_an_encoder_is_fetched_only_for_a_base_that_is_to_see_and_has_no_eyes(
    fetched: Path,
) -> None:
    looks = Settings().changed(serving={"pictures": 1})
    parts = ensure_parts(looks, QUIET)
    assert resolve(looks, fetched, parts, QUIET).serving.encoder == str(fetched / "encoder")
    assert "encoder" not in ensure_parts(Settings(), QUIET)
    own = looks.changed(serving={"encoder": str(fetched / "mine")})
    assert "encoder" not in (parts := ensure_parts(own, QUIET))
    assert resolve(own, fetched, parts, QUIET).serving.encoder == str(fetched / "mine")
    (fetched / "config.json").write_text('{"model_type": "smolvlm", "vision_config": {}}')
    assert "encoder" not in ensure_parts(looks, QUIET)


def test_every_process_of_a_stack_keeps_pictures_in_one_place(
    fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fetched)

    def resolved(**looking: object) -> LookingSettings:
        settings = Settings().changed(serving={"looking": LookingSettings(**looking)})  # type: ignore[arg-type]
        return resolve(settings, Path("run"), {"base": fetched}, QUIET).serving.looking

    assert resolved().store == str(fetched / "run" / "pictures")
    assert resolved(store="kept").store == str(fetched / "kept")
    assert resolved(store="s3://kept/pictures").store == "s3://kept/pictures"
    assert resolved(root=Path("images")).root == fetched / "images"
    assert resolved().root is None
