"""Pictures in an object store: those that a listing names, and those that were seen.

The store is a small S3 of the tests' own, over real HTTP by obstore's S3 client.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from serving.errors import PictureMissing, PictureUnavailable
from serving.pictures.buckets import BucketError
from serving.pictures.fetching import Fetcher
from serving.pictures.looking import Looked, Looker
from serving.pictures.picture import Picture
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from tests.serving.pictures.drawing import plain
from tests.serving.pictures.s3 import s3

Objects = dict[str, bytes]

SEEN = "s3://shop/seen"
ONE, OTHER = Picture(b"one"), Picture(b"another")


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    with s3(monkeypatch) as kept:
        yield kept


def fetched(uri: str, **others: Any) -> bytes:
    looking = LookingSettings(buckets=("s3://shop/pictures/",), timeout_s=2, **others)
    return asyncio.run(Fetcher(looking).fetch(uri))


@pytest.mark.parametrize("name", ["x.jpg", "a/b/x.jpg", "ü x.jpg", "100%25 a+b.jpg", "50% off.jpg"])
def test_an_object_below_an_allowed_url_is_got_by_its_name_as_it_is(
    objects: Objects, name: str
) -> None:
    objects[f"shop/pictures/{name}"] = b"a picture"
    assert fetched(f"s3://shop/pictures/{name}") == b"a picture"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://shop/x.jpg",
        "s3://shop/pictures-of-others/x.jpg",
        "s3://shop/pictures",
        "s3://shop/pictures/",
        "s3://shop/pictures/../x.jpg",
        "s3://shop/pictures/%2e%2e/x.jpg",
        "s3://shop/pictures/./x.jpg",
        "s3://shop/pictures//x.jpg",
        "s3://key:s3cr3t@shop/pictures/x.jpg",
        "s3://shop/pictures/x.jpg?versionId=s3cr3t",
        "gs://shop/pictures/x.jpg",
        "S3://shop/pictures/x.jpg",
    ],
)
def test_an_object_elsewhere_is_not_asked_for(objects: Objects, uri: str) -> None:
    objects |= {f"shop/{name}": b"inside" for name in ("x.jpg", "pictures-of-others/x.jpg")}
    with pytest.raises(PictureUnavailable) as refused:
        fetched(uri)
    assert "bucket" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_an_object_that_is_not_there_is_told(objects: Objects) -> None:
    with pytest.raises(PictureUnavailable, match="there is no such object"):
        fetched("s3://shop/pictures/x.jpg")


def test_an_object_that_is_too_long_is_not_read_to_its_end(objects: Objects) -> None:
    objects["shop/pictures/x.jpg"] = bytes(10_000)
    with pytest.raises(PictureUnavailable, match="more than 1,000 bytes"):
        fetched("s3://shop/pictures/x.jpg", max_bytes=1000)


def test_without_the_right_credentials_it_is_told_and_the_endpoint_is_not(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with pytest.raises(PictureUnavailable) as refused:
        fetched("s3://shop/pictures/x.jpg")
    assert "the object store refuses, or cannot be reached" in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)
    assert "127.0.0.1" in caplog.text


def test_what_was_seen_is_kept_in_a_bucket(objects: Objects) -> None:
    store = PictureStore(SEEN)
    store.write(ONE)
    store.write(OTHER)
    store.write(ONE)
    assert set(objects) == {f"shop/seen/{one.sha256[:2]}/{one.sha256}.jpg" for one in (ONE, OTHER)}
    assert store.read(ONE.sha256) == ONE
    assert set(store.hashes()) == {ONE.sha256, OTHER.sha256}
    store.remove(ONE.sha256)
    store.remove(ONE.sha256)
    assert list(store.hashes()) == [OTHER.sha256]
    with pytest.raises(PictureMissing, match=SEEN):
        store.read(ONE.sha256)


def test_a_damaged_object_counts_as_missing_and_is_mended_by_the_next_write(
    objects: Objects,
) -> None:
    store = PictureStore(SEEN)
    objects[f"shop/seen/{ONE.sha256[:2]}/{ONE.sha256}.jpg"] = b"on"
    with pytest.raises(PictureMissing):
        store.read(ONE.sha256)
    store.write(ONE)
    assert store.read(ONE.sha256) == ONE


def test_a_store_that_refuses_is_an_os_error_of_one_line(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with pytest.raises(BucketError) as refused:
        PictureStore(SEEN).read(ONE.sha256)
    assert isinstance(refused.value, OSError)
    assert "\n" not in str(refused.value)


def test_a_picture_goes_from_one_bucket_into_another_and_is_seen_again(objects: Objects) -> None:
    async def seen() -> tuple[Looked, Looked]:
        looking = LookingSettings(buckets=("s3://shop/pictures",), store=SEEN)
        looker = Looker(looking, 3, 384)
        try:
            first = await looker.look(["s3://shop/pictures/x.png"])
            return first, await looker.again([picture.sha256 for picture in first.pictures])
        finally:
            await looker.close()

    objects["shop/pictures/x.png"] = plain()
    first, again = asyncio.run(seen())
    assert len(first.pictures) == 1
    assert first == again
