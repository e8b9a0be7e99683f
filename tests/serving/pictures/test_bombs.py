"""Small files that would unfold into gigabytes cost neither time nor memory.

Each is checked in a process of its own, since Pillow's memory is seen by the kernel alone. They are
those that `listune bench pictures` measures.
"""

import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from infra.lab.bench.pictures.files import WARMING, bombs, harmless
from serving.errors import PictureRefused
from serving.pictures.checking import check
from tests.serving.pictures.drawing import WHITE, chunk, plain, saved

MOST_SECONDS = 0.05
MOST_BYTES = 64 << 20

MEASURE = """
import json, resource, sys, time
from pathlib import Path
from PIL import Image
from serving.errors import PictureRefused
from serving.pictures.checking import check

def attempt(data):
    try:
        check(data, 384, 10_000_000, 50_000_000)
    except PictureRefused as refused:
        return str(refused)

for harmless in sys.argv[2:]:
    attempt(Path(harmless).read_bytes())  # imports and the plugins' tables
data = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clock = time.thread_time()
said = attempt(data)
seconds = time.thread_time() - clock
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"said": said, "seconds": seconds, "bytes": (after - before) * 1024}))
"""


BOMBS = bombs()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_50_ms_and_64_mb(name: str, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(BOMBS[name]())
    harmless_ones = [tmp_path / form for form in WARMING]
    for file in harmless_ones:
        file.write_bytes(harmless(file.name))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "bomb"), *map(str, harmless_ones)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(ran.stdout)
    assert re.search("more than (50,000,000 pixels|50 scans)", measured["said"])
    assert measured["seconds"] <= MOST_SECONDS
    assert measured["bytes"] <= MOST_BYTES


def test_a_small_png_with_texts_of_many_megabytes_is_seen_without_reading_them() -> None:
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(20_000_000)))
    whole = plain()
    data = whole[:33] + text * 5 + whole[33:]
    assert check(data, 384, 10_000_000, 50_000_000) == check(whole, 384, 10_000_000, 50_000_000)


def in_gif(blocks: bytes) -> bytes:
    """A GIF with `blocks` before its first frame."""
    whole = plain(form="GIF")
    palette = 3 << ((whole[10] & 7) + 1) if whole[10] & 0x80 else 0
    return whole[: 13 + palette] + blocks + whole[13 + palette :]


@pytest.mark.parametrize(
    "data",
    [
        plain()[:33] + chunk(b"tEXt", b"") * 20_000 + plain()[33:],
        plain()[:33] + chunk(b"IDAT", b"") * 20_000 + plain()[33:],
        in_gif(b"\x21\xfe\x01a\x00" * 20_000),
        in_gif(b"\x21\xfe" + b"\x01a" * 20_000 + b"\x00"),
    ],
    ids=["texts of a PNG", "empty data of a PNG", "comments of a GIF", "one comment in crumbs"],
)
def test_a_file_in_countless_pieces_is_refused_before_they_are_read(data: bytes) -> None:
    with pytest.raises(PictureRefused, match="more than 10,000 pieces"):
        check(data, 384, 10_000_000, 50_000_000)


def test_a_gif_with_a_long_comment_is_seen_without_reading_it() -> None:
    comment = b"\x21\xfe" + (b"\xff" + bytes(255)) * 9_000 + b"\x00"
    whole = check(plain(form="GIF"), 384, 10_000_000, 50_000_000)
    assert check(in_gif(comment), 384, 10_000_000, 50_000_000) == whole


def test_a_transparent_gif_stays_transparent() -> None:
    from PIL import Image

    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    data = saved(image, "GIF", transparency=0, comment=b"made by hand")
    assert check(data, 384, 10_000_000, 50_000_000).pixels().getpixel((4, 4)) == WHITE
