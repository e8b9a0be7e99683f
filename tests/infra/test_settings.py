"""Where a setting comes from, what is refused, and that docs/settings.md tells the truth."""

import os
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from infra.local.state import write_state
from infra.settings import (
    ACTIVE,
    Settings,
    SettingsError,
    active_settings,
    load_settings,
    read_settings,
)
from infra.settings_reference import reference_markdown

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, and a working folder without files."""
    for name in [name for name in os.environ if name.startswith("LISTUNE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_environment_is_stronger_than_the_file_the_profile_and_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings().streams.k == 1000
    assert load_settings().streams.k == 20
    Path("listune.toml").write_text("[streams]\nk = 30\nheldout_most = 90\n")
    assert load_settings().streams.k == 30
    monkeypatch.setenv("LISTUNE_STREAMS__K", "40")
    chosen = load_settings().streams
    assert (chosen.k, chosen.heldout_most, chosen.min_gap) == (40, 90, 0.02)


def test_a_nested_setting_is_reached_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTUNE_DEMO__SELLERS__FILL_RATE", "0.25")
    sellers = load_settings().demo.sellers
    assert (sellers.fill_rate, sellers.edit_rate) == (0.25, 0.9)


def test_the_profile_paper_has_the_papers_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTUNE_PROFILE", "paper")
    chosen = load_settings()
    assert (chosen.streams.k, chosen.streams.selection) == (1000, "gap")
    assert (chosen.streams.heldout_share, chosen.streams.heldout_most) == (0.1, 1000)
    assert (chosen.trainer.rank, chosen.trainer.steps, chosen.trainer.batch_size) == (32, 100, 32)
    assert (chosen.trainer.learning_rate, chosen.trainer.max_length) == (1e-5, 8192)
    assert (chosen.trainer.processes, chosen.serving.batches) == (4, 4)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LISTUNE_PROFILE", "huge", "no profile 'huge'; LISTUNE_PROFILE is one of laptop, paper"),
        ("LISTUNE_CONFIG", "gone.toml", "LISTUNE_CONFIG names gone.toml, which is no file"),
        ("LISTUNE_STREAMS__K", "many", "setting streams.k: .*integer.* (given: 'many')"),
        ("LISTUNE_STREAMS__K", "0", "setting streams.k: .*greater than or equal to 1"),
        (
            "LISTUNE_STREAMS__HELDOUT_SHARE",
            "0",
            "setting streams.heldout_share: .*0 leaves no listing to judge a round on",
        ),
        (
            "LISTUNE_STREAMS__HELDOUT_LEAST",
            "300",
            "setting streams.heldout_least: .*heldout_most lets no more than 200 .*lower this one",
        ),
        ("LISTUNE_SERVING__MODE", "strict", "setting serving.mode: .*'free' or 'constrained'"),
        ("LISTUNE_LOCAL__KAFKA_PORTS", "1", "setting local.kafka_ports: .*not permitted"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    pattern = words.replace("(given: 'many')", r"\(given: 'many'\)")
    with pytest.raises(SettingsError, match=pattern) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


TODAY = '{name = "today", share = 0.7, answers = "champion"}'


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        (
            f'name = "a"\narms = [{TODAY}, {{name = "none", share = 0.5, answers = "blind"}}]',
            "the shares of the arms are 1.2 in all; lower one",
        ),
        (
            f'name = "a"\narms = [{TODAY}, {{name = "none", share = -0.5, answers = "blind"}}]',
            r"arms.1.share: Input should be greater than 0",
        ),
        (f'name = "a"\narms = [{TODAY}]', "needs two arms or more, the control first"),
        (f'name = "a"\narms = [{TODAY}, {TODAY}]', "two arms of the experiment have one name"),
        (f"arms = [{TODAY}, {TODAY}]", "an experiment with arms needs a name"),
        (
            f'name = "a"\narms = [{TODAY}, {{name = "new", share = 0.1, answers = "adaptr:1"}}]',
            "an arm answers with champion, base, blind, example, endpoint or adapter:ID",
        ),
        (
            'name = "a"\nstart = 2026-02-01T00:00:00Z\nend = 2026-01-01T00:00:00Z\n'
            f'arms = [{TODAY}, {{name = "none", share = 0.1, answers = "blind"}}]',
            "the experiment would end before it starts; give a later `end`",
        ),
    ],
    ids=["too much in all", "below 0", "one arm", "one name", "no name", "answers", "end"],
)
def test_an_experiment_that_cannot_run_is_one_sentence(experiment: str, words: str) -> None:
    Path("listune.toml").write_text(f"[streams.experiment]\n{experiment}\n")
    with pytest.raises(SettingsError, match=f"setting streams.experiment.*{words}") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_toml_is_one_sentence() -> None:
    Path("listune.toml").write_text("k = [")
    with pytest.raises(SettingsError, match="a settings file cannot be read") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_arms_come_from_the_environment_as_json_and_what_is_none_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arms = '[{"name": "a", "share": 0.5, "answers": "champion"}, '
    arms += '{"name": "b", "share": 0.5, "answers": "base"}]'
    monkeypatch.setenv("LISTUNE_STREAMS__EXPERIMENT__NAME", "titles")
    monkeypatch.setenv("LISTUNE_STREAMS__EXPERIMENT__ARMS", arms)
    assert [arm.name for arm in load_settings().streams.experiment.arms] == ["a", "b"]
    monkeypatch.setenv("LISTUNE_STREAMS__EXPERIMENT__ARMS", "a and b")
    with pytest.raises(SettingsError, match=r"LISTUNE_STREAMS__.* is no JSON; write") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_the_file_that_listune_config_names_replaces_the_working_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("listune.toml").write_text("[streams]\nk = 30\n")
    Path("other.toml").write_text("[streams]\nheldout_most = 70\n")
    monkeypatch.setenv("LISTUNE_CONFIG", "other.toml")
    chosen = load_settings().streams
    assert (chosen.k, chosen.heldout_most) == (20, 70)


@pytest.mark.parametrize("room", ["SERVING", "STREAMS", "TRAINER", "LOCAL", "DEMO"])
def test_a_name_that_does_not_exist_is_refused(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LISTUNE_{room}__KK", "5")
    with pytest.raises(SettingsError, match=f"{room.lower()}.kk"):
        load_settings()


def test_settings_written_by_a_stack_read_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTUNE_STREAMS__K", "7")
    monkeypatch.setenv("LISTUNE_TRAINER__HELDOUT", "held.jsonl")
    settings = load_settings()
    Path("settings.json").write_text(settings.model_dump_json(indent=1))
    monkeypatch.delenv("LISTUNE_STREAMS__K")
    assert read_settings(Path("settings.json")) == settings


def test_the_settings_of_the_stack_that_is_up_go_before_ones_own() -> None:
    settings = load_settings().changed(streams={"k": 3})
    ACTIVE.mkdir(parents=True)
    (ACTIVE / "settings.json").write_text(settings.model_dump_json())
    write_state(ACTIVE, {})  # by this process, which lives
    assert active_settings().streams.k == 3


def test_settings_are_changed_in_a_copy_and_by_their_names() -> None:
    settings = load_settings()
    changed = settings.changed(streams={"k": 3}, trainer={"seed": 5})
    assert (changed.streams.k, changed.trainer.seed) == (3, 5)
    assert settings == load_settings()
    assert changed.serving is settings.serving
    with pytest.raises(SettingsError, match="streams has no setting 'kk'"):
        settings.changed(streams={"kk": 3})
    with pytest.raises(ValidationError, match="frozen"):
        settings.streams.k = 3  # type: ignore[misc]


def test_without_a_stack_a_command_asks_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="nothing is up here"):
        active_settings()
    monkeypatch.setenv("LISTUNE_STREAMS__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert active_settings().streams.bootstrap_servers == "127.0.0.1:1"


def test_the_trainer_sees_the_streams_own_addresses() -> None:
    settings = load_settings().changed(
        streams={"bootstrap_servers": "10.0.0.1:9092", "pool": "shoes"}
    )
    kafka = settings.kafka_for_trainer()
    assert (kafka.bootstrap_servers, kafka.pool) == ("10.0.0.1:9092", "shoes")
    assert kafka.max_event_bytes == settings.streams.max_event_bytes


def test_the_page_of_settings_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    again = "run `python -m infra.settings_reference > docs/settings.md`"
    assert page == reference_markdown(), again


def test_the_page_of_settings_has_every_setting_once() -> None:
    named = re.findall(r"^\| `[^|]+\| `(LISTUNE_\w+)` \|", reference_markdown(), re.MULTILINE)
    assert sorted(named) == sorted(_variables(Settings, "LISTUNE_"))


def _variables(model: type[BaseModel], prefix: str) -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += _variables(kind, f"{prefix}{name.upper()}__")
        else:
            names.append(prefix + name.upper())
    return names


def test_what_a_version_with_other_settings_wrote_is_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    written = tmp_path / "settings.json"
    written.write_text('{"streams": {"sharded": true}}')
    with pytest.raises(SettingsError, match=r"setting streams\.sharded: Extra inputs are not"):
        read_settings(written)
