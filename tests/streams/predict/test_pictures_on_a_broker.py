"""Requests with pictures, through the predict app as a real process on a real broker.

What looks at pictures is the real thing, on a folder; the engine is a stand-in that says the last
value where it is given a picture, and the first where not (see worker_process.py).
"""

import json
from pathlib import Path

import pytest
from PIL import Image

from schemas.category import CategorySchemas
from schemas.events import ListingPrediction, Status
from serving.pictures.store import PictureStore
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker

SEEN, NOT_SEEN = {"colour": ["blue"]}, {"colour": ["red"]}


@pytest.mark.slow
def test_text_and_picture_picture_alone_and_pictures_that_cannot_be_had(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker, tmp_path: Path
) -> None:
    shop, store = tmp_path / "shop", tmp_path / "kept"
    shop.mkdir()
    Image.new("RGB", (900, 600), "navy").save(shop / "lamp.jpg")
    (shop / "broken.jpg").write_bytes((shop / "lamp.jpg").read_bytes()[:200])
    serving = {"pictures": 2, "looking": {"root": str(shop), "store": str(store)}}
    predict = worker("predict", SERVING=json.dumps(serving)).start()

    def asked(listing_id: str, image: str, title: str = "") -> ListingPrediction:
        with ListuneClient(settings, schemas) as client:
            return client.predict(
                listing_id=listing_id,
                category="Lamps",
                title=title,
                images=[f"file://{shop}/{image}"],
                timeout_s=20,
            )

    both, alone = asked("both", "lamp.jpg", "A lamp"), asked("alone", "lamp.jpg")
    broken, missing = asked("broken", "broken.jpg", "A lamp"), asked("missing", "none.jpg")
    assert predict.stop() == 0

    assert [a.status for a in (both, alone, broken)] == [Status.OK] * 3
    assert [a.values for a in (both, alone, broken)] == [SEEN, SEEN, NOT_SEEN]
    assert both.notes == alone.notes == []
    assert both.pictures == alone.pictures == list(PictureStore(str(store)).hashes())
    assert max(PictureStore(str(store)).read(both.pictures[0]).pixels().size) == 384
    [note] = broken.notes
    assert "broken.jpg is not looked at" in note
    assert missing.status is Status.FAILED
    assert f"{shop}/none.jpg is not got" in (missing.error or "")
