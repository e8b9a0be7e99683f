"""All settings in one typed tree, composed from the rooms' own models.

Where a value comes from, strongest first:

1. environment: `LISTUNE_<ROOM>__<NAME>`, for example `LISTUNE_STREAMS__K=50`; lists and tables
   as JSON;
2. the file named by `LISTUNE_CONFIG`, else `listune.toml` in the working folder, where it exists;
3. the profile named by `LISTUNE_PROFILE`: `laptop` (default) or `paper`, in infra/profiles/;
4. the defaults beside the fields.

A running stack writes its resolved settings to `settings.json` in its run folder; its processes
and the commands that talk to it read that file, so that all of them agree.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as NotParsed

from infra.catalogs.catalog import MOST_REJECTED
from infra.catalogs.sellers import SellerSettings
from infra.local.settings import LocalSettings
from infra.local.state import live_state
from schemas.errors import ListuneError
from schemas.topic_names import FORGOTTEN, MODEL_EVENTS, RETRAIN
from serving.settings import ServingSettings
from streams.settings import StreamsSettings
from trainer.settings import EvaluationSettings, KafkaSettings, TrainerSettings

PROFILES = Path(__file__).parent / "profiles"
RUNS = Path("runs")
ACTIVE = RUNS / "active"
"""A link to the run folder of the stack that is up."""


class SettingsError(ListuneError):
    """A setting that cannot be used; names it and says what is wrong."""


class Mix(StrEnum):
    """What the demo's sellers send of a product that has a text and pictures."""

    CATALOG = "catalog"
    PAPER = "paper"


class DemoSettings(BaseModel):
    """What the demo plays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalog: Path | None = Field(
        None, description="JSONL of products; none = the generated catalog"
    )
    catalog_schema: Path | None = Field(None, description="JSON of category schemas for `catalog`")
    alternatives: bool = Field(
        False, description="several catalog values of an attribute are alternative spellings"
    )
    strict: bool = Field(False, description="a catalog's first wrong line stops it")
    most_rejected: float = Field(
        MOST_REJECTED,
        ge=0,
        le=1,
        description="the share of a catalog's lines that may be wrong; with more it is refused",
    )
    seed: int = Field(
        7, description="seeds the catalog, the arrivals, the sellers and the training"
    )
    pictures: bool = Field(
        True, description="look at the images of the catalog's products, where they have some"
    )
    mix: Mix = Field(
        Mix.CATALOG,
        description="what is sent of products with text and images: both (catalog), or text, "
        "images or both by a hash of the id, 45.9, 16.5 and 37.6 % (paper)",
    )
    rounds: int = Field(2, ge=1, description="training rounds to play")
    wave: int = Field(
        56, ge=1, description="new listings that arrive in each round, held-out ones among them"
    )
    final_wave: int = Field(8, ge=0, description="listings that the last champion answers")
    arm_sellers: int = Field(
        0,
        ge=0,
        description="sellers who come after the rounds, in the arms of an experiment; 0 = none, "
        "and 240 with `--arms`",
    )
    arm_listings: int = Field(2, ge=1, description="listings of each of them")
    in_flight: int = Field(4, ge=1, description="sellers at work at the same time")
    stall_minutes: float = Field(10.0, gt=0, description="give up after so long without progress")
    sellers: SellerSettings = SellerSettings()


class HistorySettings(BaseModel):
    """How `listune bootstrap` goes through historic listings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(2, ge=1, description="rounds to train, fewer where nothing is left to gain")
    # The best k of as many as k would be all of them: nothing would be chosen.
    candidates: int = Field(
        2,
        ge=1,
        description="listings that the current model is asked for before a round chooses, in "
        "multiples of `streams.k`; as many again while too few of them count",
    )


class Settings(BaseModel):
    """The whole tree. Build it with `load_settings`, which turns errors into sentences."""

    model_config = ConfigDict(frozen=True)

    serving: ServingSettings = ServingSettings()
    streams: StreamsSettings = StreamsSettings()
    trainer: TrainerSettings = TrainerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    local: LocalSettings = LocalSettings()
    demo: DemoSettings = DemoSettings()
    history: HistorySettings = HistorySettings()

    def changed(self, **rooms: Mapping[str, Any]) -> "Settings":
        """A copy with other values in some rooms: `settings.changed(streams={"k": 3})`.

        The values are not validated.

        Raises:
            SettingsError: a room has no setting of such a name.
        """
        update = {}
        for room, values in rooms.items():
            before: BaseModel = getattr(self, room)
            if unknown := values.keys() - type(before).model_fields:
                raise SettingsError(f"{room} has no setting {sorted(unknown)[0]!r}; mend its name")
            update[room] = before.model_copy(update=values)
        return self.model_copy(update=update)

    def kafka_for_trainer(self) -> KafkaSettings:
        """The trainer's view of the streams' settings: the rooms do not import each other."""
        return KafkaSettings(
            bootstrap_servers=self.streams.bootstrap_servers,
            retrain_topic=self.streams.in_kafka(RETRAIN),
            events_topic=self.streams.in_kafka(MODEL_EVENTS),
            forgotten_topic=self.streams.in_kafka(FORGOTTEN),
            group=self.streams.in_kafka(KafkaSettings().group),
            max_event_bytes=self.streams.max_event_bytes,
            pool=self.streams.pool,
        )


class _Loader(BaseSettings, Settings):
    """The tree, read from environment and files."""

    model_config = SettingsConfigDict(
        env_prefix="LISTUNE_", env_nested_delimiter="__", extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the user's file over the profile."""
        files = [TomlConfigSettingsSource(settings_cls, path) for path in _toml_files()]
        return (init_settings, env_settings, *files)


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: an unknown profile, a file that is no TOML, or a value of the wrong type.
    """
    try:
        return Settings.model_validate(_Loader(**overrides).model_dump())
    except ValidationError as error:
        raise SettingsError(_first_fault(error)) from None
    except NotParsed as error:
        room = re.search(r'field "(\w+)"', str(error))
        name = f"LISTUNE_{room[1].upper()}__…" if room else "LISTUNE_…"
        raise SettingsError(
            f"a list or a table in the environment's {name} is no JSON; write it as JSON, or put "
            "it into listune.toml"
        ) from error
    except ValueError as error:
        raise SettingsError(f"a settings file cannot be read: {error}") from error


def read_settings(path: Path) -> Settings:
    """The settings of a running stack, from its `settings.json` alone.

    Raises:
        SettingsError: another version wrote it, with settings that are not known any more.
    """
    try:
        return Settings.model_validate_json(path.read_text())
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    return f"setting {name}: {first['msg']} (given: {first['input']!r})"


def settings_here() -> Settings:
    """The settings of the stack that is up here, else this process's: for what asks no server."""
    if live_state(ACTIVE) is not None:
        return read_settings(ACTIVE / "settings.json")
    return load_settings()


def active_settings() -> Settings:
    """The settings of the stack that is up here, else of the one that the environment names.

    Raises:
        SettingsError: nothing is up here and no broker is named. The default address may be
            somebody else's stack, which a command like `promote` must not steer by accident.
    """
    settings = settings_here()
    named = settings.streams.bootstrap_servers != StreamsSettings().bootstrap_servers
    if not named and live_state(ACTIVE) is None:
        raise SettingsError(
            "nothing is up here; start it with `listune up`, "
            "or name a broker elsewhere with LISTUNE_STREAMS__BOOTSTRAP_SERVERS"
        )
    return settings


def _toml_files() -> list[Path]:
    chosen = os.environ.get("LISTUNE_CONFIG")
    if chosen and not Path(chosen).is_file():
        raise SettingsError(f"LISTUNE_CONFIG names {chosen}, which is no file")
    own = Path(chosen) if chosen else Path("listune.toml")
    name = os.environ.get("LISTUNE_PROFILE", "laptop")
    profile = PROFILES / f"{name}.toml"
    if not profile.is_file():
        known = ", ".join(sorted(path.stem for path in PROFILES.glob("*.toml")))
        raise SettingsError(f"there is no profile {name!r}; LISTUNE_PROFILE is one of {known}")
    return [*([own] if own.is_file() else []), profile]
