"""What a worker's health port says, for `listune status`."""

from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from serving.process.health import HOST

PATIENCE_S = 2.0


@dataclass(frozen=True)
class Seen:
    """`lag`: records that wait for this worker; None where it reads no payload topic."""

    live: bool
    ready: bool
    lag: int | None

    def __str__(self) -> str:
        state = "ready" if self.ready else "not ready"
        lag = "" if self.lag is None else f", lag {self.lag}"
        return f"{'live' if self.live else 'hangs'}, {state}{lag}"


def look(port: int) -> Seen | None:
    """What the worker with this health port says; None where nobody answers."""
    try:
        live, ready, (_, text) = (_get(port, path) for path in ("live", "ready", "metrics"))
    except OSError:
        return None
    samples = [
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "listune_lag_records"
        for sample in family.samples
    ]
    return Seen(live[0] == 200, ready[0] == 200, round(sum(samples)) if samples else None)


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{HOST}:{port}/{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
