"""What the workers of this room count and measure, for Prometheus; docs/operations.md explains it.

Read at `/metrics` of each worker's health port. Counters begin at 0 with the process.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import Counter, Enum, Gauge, Histogram, Info

from serving.process.health import STAGE_SECONDS
from streams.kafka.partitions import Partition

SHARES = [-0.5, -0.25, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]

LAG = Gauge("listune_lag_records", "Records that wait in a partition", ["topic", "partition"])
EVENTS = Counter("listune_events", "Records taken from a topic", ["topic"])
MISPLACED = Counter(
    "listune_misplaced_records",
    "Records in another partition than their key's, of those looked at",
    ["topic"],
)
ANSWERS = Counter("listune_answers", "Predictions written", ["status", "purpose"])
FELL_BACK = Counter(
    "listune_fell_back", "Answers of the champion in place of an arm's own", ["arm", "reason"]
)
GAVE_WAY = Counter("listune_gave_way", "Tries of shadow orders that were broken off for others")
PICTURES = Counter(
    "listune_pictures", "Pictures of listings, by whether they were seen or why not", ["outcome"]
)
PICTURE_SECONDS = Histogram(
    "listune_picture_seconds", "Getting, checking and keeping a picture, with the wait for a turn"
)
REFUSED_EXPERIMENTS = Counter(
    "listune_refused_experiments", "Records of experiments that cannot be read"
)
DEAD_LETTERS = Counter("listune_dead_letters", "Records that cannot be used", ["topic", "reason"])
IN_FLIGHT = Gauge("listune_in_flight", "Records taken and not done")
GAP = Histogram("listune_gap", "Gap of a sample, each time it is computed", buckets=SHARES)
DEFICIT = Histogram("listune_deficit", "Deficit of a sample, likewise", buckets=SHARES[3:])
SAMPLES = Gauge("listune_pool_samples", "Samples in the pool")
FRESH = Gauge("listune_pool_fresh", "Listings that a round could take now")
NEEDED = Gauge("listune_pool_needed", "k")
LAST_ROUND = Gauge("listune_last_round", "Number of the last round")
ROUND_STATE = Enum(
    "listune_round_state",
    "State of the open round",
    states=[
        *("none", "unknown", "decided", "requested", "training", "proposed", "failed", "judging"),
        "canary",
    ],
)
CANARY_SELLERS = Gauge(
    "listune_canary_sellers", "Reviewed sellers of the canary that runs", ["arm"]
)
OUTDATED = Gauge("listune_pool_outdated", "Listings to be measured by changed category schemas")
TEXTLESS = Gauge(
    "listune_reviews_without_text", "Listings whose last review is of a text that is not there"
)
SCHEMA_LOOKS = Counter("listune_schema_files", "Changed schema files looked at", ["outcome"])
SCHEMA_REFUSED = Gauge("listune_schema_refused", "1 while the schema file cannot be used")
REFUSED_VALUES = Counter("listune_refused_values", "Submitted values that are illegal", ["reason"])
DRIFT_WEALTH = Gauge(
    "listune_drift_wealth", "Evidence that acceptance fell, in shares of what raises the alarm"
)
CHAMPION = Info("listune_champion", "The adapter that answers live requests")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measures the time that the block takes, where it ends without an exception."""
    began = time.perf_counter()
    yield
    STAGE_SECONDS.labels(name).observe(time.perf_counter() - began)


def count_picture(outcome: str, seconds: float) -> None:
    """Counts a picture that was `seen`, or why it was not (`serving.pictures.looking.Tell`)."""
    PICTURES.labels(outcome).inc()
    PICTURE_SECONDS.observe(seconds)


def show_champion(adapter_id: str, adapter_hash: str) -> None:
    """Names the adapter that, as far as this worker knows, answers live requests."""
    CHAMPION.info({"adapter_id": adapter_id, "adapter_hash": adapter_hash})


def schema_file(outcome: str) -> None:
    """A schema file that changed was `taken`, found `unchanged` in content, or `refused`."""
    SCHEMA_LOOKS.labels(outcome).inc()
    SCHEMA_REFUSED.set(outcome == "refused")


def count_refused(reviews: Iterable[Mapping[str, object]]) -> None:
    """Counts what rows of reviews say was refused; most of them say nothing."""
    for row in reviews:
        if row["refused"] is not None:
            for value in json.loads(str(row["refused"])):
                REFUSED_VALUES.labels(value["reason"]).inc()


def show_lag(lag: Mapping[Partition, int], before: Mapping[Partition, int]) -> None:
    """Sets the lag of each partition; one that this worker no longer has is taken away."""
    for topic, partition in before.keys() - lag.keys():
        LAG.remove(topic, str(partition))
    for (topic, partition), records in lag.items():
        LAG.labels(topic, str(partition)).set(records)
