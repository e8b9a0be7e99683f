"""What is seen of a listing's pictures."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.errors import PictureUnavailable
from serving.pictures.fetching import Fetcher
from serving.pictures.looking import Looked, Looker
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from tests.serving.pictures.drawing import BLUE, GREEN, RED, near, plain


class Counting(Fetcher):
    """Counts what is fetched, and how much at a time."""

    def __init__(self, looking: LookingSettings) -> None:
        super().__init__(looking)
        self.fetched: Counter[str] = Counter()
        self.now = self.most = 0

    async def fetch(self, uri: str) -> bytes:
        self.fetched[uri] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        try:
            return await super().fetch(uri)
        finally:
            self.now -= 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, colour in {"red": RED, "green": GREEN, "blue": BLUE}.items():
        (folder / f"{name}.png").write_bytes(plain(colour=colour))
    (folder / "page.jpg").write_bytes(b"<html>404</html>")
    return folder


@asynccontextmanager
async def looker(root: Path, most: int = 3, **others: Any) -> AsyncIterator[Looker]:
    fetcher = others.pop("fetcher", None)
    looking = LookingSettings(root=root, store=str(root.parent / "kept"), **others)
    eyes = Looker(looking, most, 384, fetcher)
    try:
        yield eyes
    finally:
        await eyes.close()


def look(root: Path, *uris: str, **others: Any) -> Looked:
    async def looked() -> Looked:
        async with looker(root, **others) as eyes:
            return await eyes.look(uris)

    return asyncio.run(looked())


def colours(looked: Looked) -> list[Any]:
    return [picture.pixels().getpixel((5, 5)) for picture in looked.pictures]


def test_pictures_are_seen_in_the_order_of_the_listing(root: Path) -> None:
    looked = look(root, "blue.png", "file:red.png", f"file://{root}/green.png")
    for seen, wanted in zip(colours(looked), (BLUE, RED, GREEN), strict=True):
        assert near(seen, wanted)
    assert looked.notes == ()


def test_one_that_cannot_be_had_leaves_a_sentence_and_the_others_are_seen(root: Path) -> None:
    looked = look(root, "red.png", "gone.png", "page.jpg", "blue.png", most=9)
    for seen, wanted in zip(colours(looked), (RED, BLUE), strict=True):
        assert near(seen, wanted)
    gone, page = looked.notes
    assert gone.startswith("The picture gone.png is not got: the file cannot be read")
    assert page.startswith("The picture page.jpg is not looked at: it is no JPEG, PNG")


def test_no_more_than_the_most_are_looked_at_and_a_note_says_how_many_were_not(root: Path) -> None:
    looked = look(root, "red.png", "gone.png", "blue.png", "green.png", most=2)
    assert len(looked.pictures) == 1
    assert looked.notes[-1] == (
        "2 more of the listing's pictures were not looked at; 2 is the most."
    )


def test_at_most_0_nothing_is_looked_at_and_nothing_is_said(root: Path) -> None:
    assert look(root, "red.png", "gone.png", most=0) == Looked()


def test_one_uri_twice_in_a_listing_is_one_fetch_and_one_picture(root: Path) -> None:
    fetcher = Counting(LookingSettings(root=root))
    looked = look(root, "red.png", "blue.png", "red.png", fetcher=fetcher)
    assert len(looked.pictures) == 2
    assert fetcher.fetched == {"red.png": 1, "blue.png": 1}


def test_no_more_than_at_once_are_under_way(root: Path) -> None:
    uris = [f"{'./' * number}red.png" for number in range(9)]
    fetcher = Counting(LookingSettings(root=root))
    assert len(look(root, *uris, most=9, at_once=2, fetcher=fetcher).pictures) == 9
    assert fetcher.most == 2


def test_what_was_seen_is_kept_and_seen_again_after_the_source_is_gone(root: Path) -> None:
    async def twice() -> None:
        async with looker(root) as eyes:
            first = await eyes.look(["red.png", "blue.png"])
            (root / "red.png").unlink()
            again = await eyes.again([picture.sha256 for picture in first.pictures])
            assert again == first

    asyncio.run(twice())


def test_what_was_removed_from_the_store_is_missing_with_a_sentence(root: Path) -> None:
    async def forgotten() -> None:
        async with looker(root) as eyes:
            red, blue = (await eyes.look(["red.png", "blue.png"])).pictures
            PictureStore(str(root.parent / "kept")).remove(red.sha256)
            again = await eyes.again([red.sha256, blue.sha256])
            assert again.pictures == (blue,)
            (note,) = again.notes
            assert red.sha256 in note
            assert str(root.parent) not in note  # a note may reach a seller

    asyncio.run(forgotten())


def test_a_store_that_cannot_be_written_leaves_a_sentence(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root.parent / "kept").write_bytes(b"a file where the folder should be")
    looked = look(root, "red.png")
    assert looked.pictures == ()
    assert "the store of pictures does not work" in looked.notes[0]
    assert str(root.parent) not in looked.notes[0]
    assert str(root.parent) in caplog.text


# Files below a root


@pytest.mark.parametrize("name", ["with space.png", "ü.png", "100%.png", "a#b.png"])
def test_a_plain_path_is_a_file_s_name_as_it_is(root: Path, name: str) -> None:
    (root / name).write_bytes(plain())
    assert look(root, name).notes == ()


def test_a_file_uri_is_percent_encoded(root: Path) -> None:
    (root / "with space#.png").write_bytes(plain())
    assert look(root, "file:with%20space%23.png").notes == ()


def test_a_link_that_stays_below_the_root_is_followed(root: Path) -> None:
    (root / "link.png").symlink_to("red.png")
    assert look(root, "link.png").notes == ()


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.png",
        "file:../secret.png",
        "file:%2e%2e/secret.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "out.png",
        "folder-out/secret.png",
        "file://localhost/etc/passwd",
        "file://otherhost/red.png",
        "file:red.png%00.jpg",
        "file://[/red.png",
        "half of a character \ud800",
        "red.png\0",
        "",
        ".",
        "pipe",
        "a" * 5000,
        "//otherhost/red.png",
        "loop.png",
    ],
)
def test_a_file_outside_the_root_or_that_is_none_is_not_read(root: Path, uri: str) -> None:
    import os

    (root.parent / "secret.png").write_bytes(plain())
    (root / "out.png").symlink_to("../secret.png")
    (root / "folder-out").symlink_to("..")
    (root / "loop.png").symlink_to("loop.png")
    os.mkfifo(root / "pipe")
    looked = look(root, uri)
    assert looked.pictures == ()
    (note,) = looked.notes
    assert "is not got" in note
    assert len(note) < 400


def test_without_a_root_no_file_is_read(root: Path) -> None:
    async def fetched() -> bytes:
        return await Fetcher(LookingSettings()).fetch(str(root / "red.png"))

    with pytest.raises(PictureUnavailable, match=r"set `serving.looking.root`"):
        asyncio.run(fetched())


def test_a_file_that_is_too_long_is_not_read_to_its_end(root: Path) -> None:
    looked = look(root, "red.png", max_bytes=10)
    assert "more than 10 bytes" in looked.notes[0]


def test_what_does_not_come_in_time_is_a_note_and_what_came_is_seen(root: Path) -> None:
    class Slow(Fetcher):
        async def fetch(self, uri: str) -> bytes:
            if "red" in uri:
                await asyncio.Event().wait()
            return await super().fetch(uri)

    async def looked() -> Looked:
        slow = Slow(LookingSettings(root=root))
        async with looker(root, fetcher=slow, at_once=1) as eyes:
            return await eyes.look(["blue.png", "red.png", "green.png"], within_s=0.2)

    seen = asyncio.run(looked())
    assert len(seen.pictures) == 1
    assert near(colours(seen)[0], BLUE)
    for note, name in zip(seen.notes, ("red.png", "green.png"), strict=True):
        assert name in note
        assert "patience" in note


def test_each_picture_is_told_of_with_its_outcome(root: Path) -> None:
    told: list[str] = []

    async def looked() -> None:
        looking = LookingSettings(root=root, store=str(root.parent / "kept"))
        eyes = Looker(looking, 9, 384, tell=lambda outcome, seconds: told.append(outcome))
        await eyes.look(["red.png", "gone.png", "page.jpg"])
        await eyes.again(["0" * 64])
        await eyes.close()

    asyncio.run(looked())
    assert sorted(told) == ["missing", "refused", "seen", "unavailable"]


class Faulty(Fetcher):
    """Has a fault of its own with one picture, and hangs at another."""

    async def fetch(self, uri: str) -> bytes:
        if "red" in uri:
            raise RuntimeError("a fault that nobody thought of")
        if "green" in uri:
            await asyncio.Event().wait()
        return await super().fetch(uri)


def test_a_fault_of_ours_with_one_picture_is_logged_and_fails_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looked = look(root, "red.png", "blue.png", fetcher=Faulty(LookingSettings(root=root)))
    assert near(colours(looked)[0], BLUE)
    assert looked.notes == ("The picture red.png is not looked at: it failed here; see the log.",)
    assert "a fault that nobody thought of" in caplog.text


def test_who_is_given_up_while_a_picture_is_under_way_saw_nothing(root: Path) -> None:
    told: list[str] = []

    async def given_up() -> None:
        looking = LookingSettings(root=root, store=str(root.parent / "kept"))
        tell = lambda outcome, seconds: told.append(outcome)  # noqa: E731
        eyes = Looker(looking, 9, 384, Faulty(looking), tell)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(eyes.look(["green.png"]), 0.05)
        await eyes.close()

    asyncio.run(given_up())
    assert told == []


def test_after_the_end_nobody_is_told_that_pictures_cannot_be_had(root: Path) -> None:
    async def ended() -> None:
        async with looker(root) as eyes:
            await eyes.close()
            with pytest.raises(asyncio.CancelledError):
                await eyes.look(["red.png"])

    asyncio.run(ended())


def test_files_that_hang_take_no_thread_that_others_need(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are looked up in the loop's own threads, also those of the brokers."""
    released = threading.Event()

    def hang(*_: Any) -> bytes:
        released.wait(60)
        return b""

    monkeypatch.setattr(Fetcher, "_read", hang)

    async def others_work() -> None:
        async with looker(root, most=99, at_once=99) as eyes:
            hanging = asyncio.ensure_future(eyes.look([f"{n}.png" for n in range(99)]))
            await asyncio.sleep(0)
            try:
                await asyncio.wait_for(asyncio.to_thread(int), 10)
            finally:
                released.set()
                await hanging

    asyncio.run(others_work())
