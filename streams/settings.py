"""The settings of the streams; `infra.settings` composes them with those of the other rooms."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from schemas.curation import Selection
from schemas.events import HISTORY_POOL
from streams.drift_settings import DriftSettings
from streams.trials import CanarySettings, ExperimentSettings


class StreamsSettings(BaseModel):
    """Kafka, the pool, the trigger and ad-hoc SQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka, host:port,…")
    partitions: int = Field(4, ge=1, description="partitions of each payload topic")
    prefix: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="before the name of each topic and consumer group, such as `de.`: pools with "
        "different ones share a Kafka and nothing else, each has a champion of its own",
    )
    replication: int = Field(1, ge=1, description="copies of each topic")
    retention_hours: int = Field(168, ge=1, description="of payload topics and dead letters")
    max_event_bytes: int = Field(
        2 * 1024 * 1024, ge=1024, description="one limit for SDK, topics and workers"
    )
    schema_path: Path = Field(Path("schema.json"), description="the category schemas, JSON")
    schema_look_s: float = Field(
        5.0, ge=0, description="a worker looks so often whether that file changed; 0 = at its start"
    )

    pool: str = Field("default", pattern=r"^[a-z0-9_-]+$", description="the pool's name")
    pool_dir: Path = Field(Path("runs/local/pool"), description="DuckDB file and Parquet manifests")
    snapshot_dir: Path | None = Field(
        None,
        description="where copies of the pool's file are kept, from which a standby on another "
        "machine begins; none are made without it",
    )
    snapshot_minutes: float = Field(60.0, gt=0, description="from one copy to the next")
    pool_max_rows: int = Field(
        1_000_000, ge=1, description="samples kept; the last by `selection` leave first"
    )
    pool_max_age_hours: int = Field(
        24 * 30, ge=1, description="older samples leave, by record time"
    )

    selection: Selection = Field(
        "gap",
        description="what the pool is ranked by: gap (the paper's), deficit, or edits",
    )
    k: int = Field(1000, ge=1, description="listings trained on in a round")
    heldout_share: float = Field(
        0.2,
        description="of all listings, by the hash of their ids, so many are never trained on: they "
        "judge; more than 0, less than 1",
    )
    heldout_most: int = Field(
        200, ge=1, description="of the held-out listings the newest so many reviewed judge a round"
    )
    heldout_least: int = Field(
        40,
        ge=1,
        validate_default=True,
        description="with fewer reviewed held-out listings no round begins",
    )
    min_gap: float = Field(0.0, ge=0, description="smallest deficit, or edits, that counts")
    # Ten sellers can fill a round. With fewer than 1 / share none ever begins, and the status says
    # why: then raise it. Listings without `seller_id` are not counted by seller.
    max_share_per_seller: float = Field(
        0.1,
        gt=0,
        le=1,
        description="of a round's listings, and of those that judge it, one seller's at most, one "
        "at least; 1 = no limit",
    )
    # Many a marketplace has one category that sells most, and some have only one.
    max_share_per_category: float = Field(
        1.0, gt=0, le=1, description="of a round's listings one category's at most; 1 = no limit"
    )
    # More than one of a large round, since near-duplicates differ in colour or size.
    max_share_per_group: float = Field(
        0.01,
        gt=0,
        le=1,
        description="of a round's listings, and of those that judge it, at most so many with "
        "nearly the same title in one category, one at least; 1 = no limit",
    )
    max_rounds: int = Field(0, ge=0, description="no more rounds than this; 0 = no limit")
    small_lag: int = Field(1000, ge=0, description="no trigger while more records than this wait")
    lease_s: float = Field(
        60.0, gt=0, description="a round fails this long after its last heartbeat"
    )
    max_attempts: int = Field(2, ge=1, description="tries at one manifest before its quarantine")
    cool_down_s: float = Field(
        0.0, ge=0, description="no round begins sooner after the end of the last; a person's does"
    )
    retrain_every_hours: float = Field(
        0.0,
        ge=0,
        description="a round with what is there, a tenth of k at least, so long after the last "
        "one began; 0 = off",
    )
    acceptance_drop: float = Field(
        0.0,
        ge=0,
        le=1,
        description="such a round also when live acceptance of the champion fell by so much; "
        "0 = off",
    )
    acceptance_window: int = Field(
        200, ge=1, description="reviewed live predictions, the first and the newest, compared"
    )
    pause_after: int = Field(3, ge=1, description="rounds without promotion that pause the trigger")
    backfill_factor: int = Field(2, ge=0, description="orders at once: factor x k; 0 = none")
    shadow_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="of reviewed live listings, which an adapter on trial (a challenger, a canary) "
        "answers too, for nobody to see: the view `shadow` compares; 0 = off",
    )
    shadow_most: int = Field(
        4, ge=1, description="such orders at once; none while sellers or other orders wait"
    )

    experiment: ExperimentSettings = ExperimentSettings()
    canary: CanarySettings = CanarySettings()
    drift: DriftSettings = DriftSettings()

    watchdog_s: float = Field(
        120.0,
        ge=0,
        description="a worker ends itself when records have waited so long and nothing moved, "
        "though neither Kafka nor Triton is to blame; well above a rebalance's 15 s; 0 = off",
    )
    curate_health_port: int = Field(
        0, ge=0, le=65535, description="curate's health and metrics, on 127.0.0.1; 0 = off"
    )
    predict_health_port: int = Field(
        0, ge=0, le=65535, description="predict's health and metrics, on 127.0.0.1; 0 = off"
    )

    micro_batch_events: int = Field(4000, ge=1, description="events in one pool transaction")
    micro_batch_s: float = Field(0.2, gt=0, description="seconds to wait for so many")
    in_flight: int = Field(4, ge=1, description="requests that one predict worker has under way")
    request_timeout_s: float = Field(120.0, gt=0, description="default patience set by the SDK")

    sql_host: str = Field("127.0.0.1", description="address of the public SQL endpoint")
    sql_port: int = Field(9494, ge=0, le=65535, description="port of the public SQL endpoint")
    sql_token: str = Field("listune", description="token of the public, read-only SQL endpoint")
    sql_http_port: int = Field(9495, ge=0, le=65535, description="port of the same over HTTP")
    sql_http_rows: int = Field(10_000, ge=1, description="rows of one answer over HTTP")
    sql_memory: str = Field("512MB", description="memory of the public SQL endpoint")
    sql_timeout_s: float = Field(30.0, gt=0, description="longest run of one statement")

    def in_kafka(self, name: str) -> str:
        """What Kafka calls the topic or the group that is `name` to us."""
        return self.prefix + name

    def from_kafka(self, name: str) -> str:
        """The opposite of `in_kafka`."""
        return name.removeprefix(self.prefix)

    @field_validator("pool")
    @classmethod
    def _is_not_history(cls, pool: str) -> str:
        if pool == HISTORY_POOL:
            raise ValueError("is the name of rounds on historic listings; give another")
        return pool

    @field_validator("heldout_share")
    @classmethod
    def _some_judge_and_some_teach(cls, share: float) -> float:
        if 0 < share < 1:
            return share
        raise ValueError(
            "0 leaves no listing to judge a round on, and 1 none to train on; "
            "take a share between them, such as 0.2"
        )

    @field_validator("heldout_least")
    @classmethod
    def _least_fits_into_most(cls, least: int, others: ValidationInfo) -> int:
        most = others.data.get("heldout_most", least)
        if least <= most:
            return least
        raise ValueError(
            f"heldout_most lets no more than {most} held-out listings judge, so that with at "
            f"least {least} no round would ever begin; lower this one or raise that one"
        )
