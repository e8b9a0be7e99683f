"""The waves: what the demo makes of an answer, without a stack behind it."""

from typing import Any

import pytest
from rich.console import Console

from infra.catalogs.catalog import Product
from infra.demo import play
from infra.settings import Settings
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.errors import ListuneError
from schemas.events import ListingPrediction, Status

COLOR = Attribute(name="Color", type=AttributeType.ENUM, values=("red", "blue"))
SCHEMAS = CategorySchemas([CategorySchema(category="Lamps", attributes=(COLOR,))])
LAMP = Product("lamp", "Lamps", "A lamp", "", {"Color": ["red"]}, images=("lamp.jpg",))
BARE = Product("bare", "Lamps", "", "", {"Color": ["red"]}, images=("gone.jpg",))


class Client:
    """In the place of the SDK: answers with `status`, unless there is a text to answer from."""

    def __init__(self, status: Status = Status.FAILED) -> None:
        self.status = status
        self.asked: dict[str, Any] = {}
        self.reviewed: list[str] = []

    def predict(self, **listing: Any) -> ListingPrediction:
        self.asked[listing["listing_id"]] = listing
        return ListingPrediction(
            prediction_id="p",
            request_id="r",
            listing_id=listing["listing_id"],
            category="Lamps",
            category_schema_hash="h",
            input_hash="i",
            status=Status.OK if listing["title"] else self.status,
            pictures=[f"hash of {image}" for image in listing["images"] if image != "gone.jpg"],
            notes=["The picture gone.jpg is not got: it is no file."]
            if not listing["title"]
            else [],
            adapter_id="base",
        )

    def review(self, prediction: ListingPrediction, **_: Any) -> None:
        self.reviewed.append(prediction.listing_id)

    def flush(self, _: float) -> None: ...


def played(client: Client) -> tuple[play.Play, str]:
    """Both lamps came; what was played, and what was said of it."""
    console = Console(record=True, width=120)
    made = play.Play(Settings(), play.Stage(SCHEMAS, [LAMP, BARE]), console, lambda: None)
    assert made._wave(client, 2, "reviewed") == 2  # type: ignore[arg-type]
    return made, console.export_text()


def test_a_products_images_are_sent_and_what_was_seen_of_them_is_remembered() -> None:
    client = Client()
    made, _ = played(client)
    assert client.asked["lamp"]["images"] == ("lamp.jpg",)
    assert made.seen == {"lamp": ["hash of lamp.jpg"]}


def test_a_product_of_which_nothing_is_seen_is_told_and_not_reviewed() -> None:
    client = Client()
    made, said = played(client)
    assert (client.reviewed, list(made.submitted)) == (["lamp"], ["lamp"])
    assert len(made.served["base"].latencies_ms) == 1
    assert "1 of 2 listings were answered with a note, such as: The picture gone.jpg is not" in said


def test_any_other_answer_that_is_none_ends_the_demo() -> None:
    with pytest.raises(ListuneError, match="listing bare was not answered"):
        played(Client(Status.EXPIRED))
