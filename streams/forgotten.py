"""A person's wish that a listing be forgotten, and which listings are, from `listune.forgotten`."""

from schemas.events import ListingForgotten, listing_sha256
from schemas.identity import listing_key
from schemas.topic_names import FORGOTTEN
from streams.errors import DeliveryError
from streams.kafka.control_log import ControlLog, ControlRecord
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings

DELIVERY_S = 30.0


def ask_to_forget(
    settings: StreamsSettings, listing_id: str, seller_id: str | None = None
) -> ListingForgotten:
    """Writes the wish; from then on nothing of the listing enters a pool or a training set.

    `seller_id`: as its events have it; without it the listing of no seller is meant.

    Raises:
        DeliveryError: the broker did not confirm it.
    """
    event = ListingForgotten(listing_sha256=listing_sha256(listing_key(listing_id, seller_id)))
    publisher = Publisher(settings, client_id="listune-cli")
    try:
        publisher.send(FORGOTTEN, event.key(), event.to_bytes()).result(DELIVERY_S)
    except TimeoutError:
        raise DeliveryError(
            f"no Kafka answers at {settings.bootstrap_servers}; start the stack with `listune up` "
            "and ask again"
        ) from None
    finally:
        publisher.close()
    return event


def read_forgotten(settings: StreamsSettings) -> frozenset[str]:
    """SHA-256 of every listing that is forgotten.

    Raises:
        ControlLogError: the topic cannot be read.
    """
    found: set[str] = set()

    def note(record: ControlRecord) -> None:
        if isinstance(record.event, ListingForgotten):
            found.add(record.event.listing_sha256)

    with ControlLog(settings, [note]) as log:
        log.wait_ready()
    return frozenset(found)
