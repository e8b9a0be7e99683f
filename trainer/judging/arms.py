"""An adapter, and what it is compared with: every arm answers the same held-out listings.

base, base with the schema
base with one example, the nearest training listing,
majority value, nearest listing, nearest picture            fitted on training listings
    (the nearest as it is, and filled up)
an endpoint                                                 where the settings name one
"""

from collections.abc import Callable, Sequence

from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile
from serving.generation import Generator
from serving.settings import EndpointSettings, ServingSettings
from trainer.data.dataset import Row, rows_hash
from trainer.errors import DataError
from trainer.judging.baselines import MajorityValue, NearestListing, NearestPicture
from trainer.judging.comparison import ENDPOINT
from trainer.judging.encoder_vectors import EncoderVectors
from trainer.judging.endpoint import Endpoint
from trainer.judging.evaluate import Evaluation
from trainer.judging.judge import Judge
from trainer.results import ONE_EXAMPLE


def adapter_arm(judge: Judge, adapter: AdapterFile | None) -> dict[str, Evaluation]:
    """The one arm of `adapter`, or of the base for None, by its name."""
    name = adapter.id if adapter else BASE_ADAPTER
    return {name: judge.evaluate(adapter, f"judge {name}")}


def base_arms(judge: Judge) -> dict[str, Evaluation]:
    """The base as it is, and with the category's schema."""
    return {
        **adapter_arm(judge, None),
        "base, schema shown": judge.evaluate(None, "judge base, schema shown", schema_shown=True),
    }


def example_arm(judge: Judge, examples: Sequence[Row]) -> dict[str, Evaluation]:
    """The base with a worked example before each listing, the nearest of `examples`."""
    return {ONE_EXAMPLE: judge.evaluate(None, f"judge {ONE_EXAMPLE}", examples=examples)}


def fitted_arms(
    judge: Judge, rows: Sequence[Row], vectors: EncoderVectors | None = None
) -> dict[str, Evaluation]:
    """What knows the training listings `rows`, and no adapter. The nearest picture is looked for
    where there are `vectors` to compare pictures by, and pictures.

    Raises:
        DataError: some of them are held out.
    """
    heldout = {row.listing.listing_id for row in judge.rows}
    shared = [row.listing.listing_id for row in rows if row.listing.listing_id in heldout]
    if shared:
        raise DataError(
            f"{len(shared)} training listings are held out too, such as {shared[0]}; a baseline "
            "must not know them, take them out"
        )
    rows = judge.pictures.in_store(rows, "compared with")
    trained_on = rows_hash(rows)
    makers: dict[str, Callable[[], Generator]] = {"majority value": lambda: MajorityValue(rows)}
    if any(row.has_text for row in rows):
        makers["nearest listing"] = lambda: NearestListing(rows)
        makers["nearest listing, filled up"] = lambda: NearestListing(rows, fill_from_next=True)
    found = example_arm(judge, rows) | {
        name: judge.baseline(name, make, f"judge {name}", trained_on)
        for name, make in makers.items()
    }
    if vectors is None or not any(row.pictures for row in rows):
        return found
    of, compared = judge.pictures.of, f"{trained_on}, {vectors.hash}"
    seeing: dict[str, Callable[[], Generator]] = {
        "nearest picture": lambda: NearestPicture(rows, of, vectors),
        "nearest picture, filled up": lambda: NearestPicture(rows, of, vectors, True),
    }
    return found | {
        name: judge.baseline(name, make, f"judge {name}", compared) for name, make in seeing.items()
    }


def endpoint_arm(
    judge: Judge, endpoint: EndpointSettings, serving: ServingSettings
) -> dict[str, Evaluation]:
    """The arm of the endpoint that the settings name; none where they name none."""
    if not endpoint.url:
        return {}
    name = f"endpoint {endpoint.model}"
    asked = Endpoint(endpoint, serving.max_trunk_tokens)
    evaluation = judge.baseline(
        f"{ENDPOINT}{endpoint.model}@{endpoint.url}",
        lambda: asked,
        f"judge {name}",
        f"max_tokens {endpoint.max_tokens}, max_trunk_tokens {serving.max_trunk_tokens}"
        # Left out where it is as it was before there were others, so that old answers are known.
        + (f", {endpoint.answer_format}" if endpoint.answer_format != "text" else ""),
    )
    return {name: evaluation}
