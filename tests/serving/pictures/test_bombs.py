"""Small files that would unfold into gigabytes cost neither time nor memory.

Each is checked in a process of its own, since Pillow's memory is seen by the kernel alone.
"""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.serving.pictures.drawing import chunk, noise, plain, png_header, saved

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


def bombs() -> dict[str, bytes]:
    """Files that announce, or unfold into, more than is decoded."""
    zeros = zlib.compress(bytes(30_000_000), 9)
    large_text = b"".join(
        chunk(b"zTXt", b"key%d\0\0" % number + zlib.compress(bytes(1_000_000)))
        for number in range(60)
    )
    return {
        "PNG of 100,000 x 100,000": png_header(100_000, 100_000)
        + chunk(b"IDAT", zeros)
        + chunk(b"IEND", b""),
        "PNG just above the limit": png_header(7100, 7100) + chunk(b"IDAT", zeros),
        "PNG of 60 texts of 1 MB": png_header(9000, 9000) + large_text + chunk(b"IDAT", zeros),
        "PNG with a colour profile of 30 MB": png_header(9000, 9000)
        + chunk(b"iCCP", b"profile\0\0" + zeros)
        + chunk(b"IDAT", zeros),
        "GIF of 65,535 x 65,535": b"GIF89a\xff\xff\xff\xff\x00\x00\x00"
        + b",\0\0\0\0\xff\xff\xff\xff\0"
        + b"\x08\x04\x00\x01\x04\x05\x00;",
        "JPEG of 65,500 x 65,500": _jpeg_of(65_500, 65_500),
        "BMP of 60,000 x 60,000": _patched(plain(form="BMP"), 18, "<ii", 60_000, 60_000),
        "WebP canvas of 16,384 x 16,384": b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0"
        + b"\xff\x3f\0\xff\x3f\0"
        + b"ANIM\x06\0\0\0\0\0\0\0\0\0",
        "WebP of 16,383 x 16,383": _webp(),
        "TIFF of 90,000 x 90,000": _tiff_of(90_000),
    }


def _patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    content = struct.pack(form, *values)
    return data[:at] + content + data[at + len(content) :]


def _jpeg_of(width: int, height: int) -> bytes:
    data = plain(form="JPEG")
    return _patched(data, data.index(b"\xff\xc0") + 5, ">HH", height, width)


def _webp() -> bytes:
    """A lossless one with the largest size that its header can say."""
    data = saved(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    bits = struct.unpack_from("<I", data, at)[0]
    return _patched(data, at, "<I", bits >> 28 << 28 | 16_382 << 14 | 16_382)


def _tiff_of(side: int) -> bytes:
    data = saved(Image.new("RGB", (200, 200)), "TIFF")
    directory = int.from_bytes(data[4:8], "little")
    for tag in (256, 257):
        entry = data.index(tag.to_bytes(2, "little"), directory)
        data = _patched(data, entry, "<HHII", tag, 4, 1, side)
    return data


BOMBS = bombs()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_50_ms_and_64_mb(name: str, tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(BOMBS[name])
    harmless = []
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        harmless.append(tmp_path / form)
        harmless[-1].write_bytes(saved(noise((32, 32)), form))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "bomb"), *map(str, harmless)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(ran.stdout)
    assert "more than 50,000,000 pixels" in measured["said"]
    assert measured["seconds"] <= MOST_SECONDS
    assert measured["bytes"] <= MOST_BYTES


def test_a_small_png_with_texts_of_many_megabytes_is_seen_without_reading_them() -> None:
    from serving.pictures.checking import check

    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(20_000_000)))
    whole = plain()
    data = whole[:33] + text * 5 + whole[33:]
    assert check(data, 384, 10_000_000, 50_000_000) == check(whole, 384, 10_000_000, 50_000_000)
