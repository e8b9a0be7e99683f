"""What `listune status` says of a worker's health."""

from infra.health import Seen, look
from infra.local.ports import free_port
from serving.process.health import Health


def test_status_shows_liveness_readiness_and_lag() -> None:
    assert str(Seen(live=True, ready=True, lag=12)) == "live, ready, lag 12"
    assert str(Seen(live=False, ready=False, lag=None)) == "hangs, not ready"


def test_it_asks_the_worker_itself() -> None:
    health, port = Health(limit_s=1000), free_port()
    assert look(port) is None
    health.serve(port)
    seen = look(port)
    assert seen is not None
    assert (seen.live, seen.ready) == (True, False)
    health.tell_ready()
    seen = look(port)
    assert seen is not None
    assert seen.ready
