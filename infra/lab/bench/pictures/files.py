"""Files to check, made up: pictures as shops send them, and small files that would unfold into
gigabytes."""

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from infra.lab.bench.photographs import photograph, saved

File = Callable[[], bytes]
"""Makes a file's bytes; the large ones take a second."""

WARMING = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_PNG = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN = b"\xff\xda"
_TURN = 0x0112
_ZEROS = 30_000_000


def harmless(form: str) -> bytes:
    """A file of a few pixels."""
    return saved(photograph(0, 32, 24), form)


def pictures(scale: int = 1) -> Mapping[str, File]:
    """By name: what shops send, and the largest that are let through. Edges are divided by
    `scale`, for a try."""

    def size(width: int, height: int) -> tuple[int, int]:
        return width // scale, height // scale

    camera, shop, limit = size(4000, 3000), size(1200, 900), size(7000, 7000)
    return {
        "JPEG of a shop, 1 MP": partial(_photo, shop, "JPEG", quality=85),
        "JPEG of a camera, 12 MP": partial(_photo, camera, "JPEG", quality=90),
        "JPEG of a phone, 12 MP, lying on its side": partial(_turned, camera),
        "JPEG, progressive, 12 MP": partial(_photo, camera, "JPEG", quality=90, progressive=True),
        "JPEG in CMYK, 12 MP": partial(_photo, camera, "JPEG", mode="CMYK", quality=85),
        "JPEG in grey, 12 MP": partial(_photo, camera, "JPEG", mode="L", quality=90),
        "PNG of a shop, 1 MP": partial(_photo, shop, "PNG", compress_level=6),
        # Grain would make it longer than what is read.
        "PNG without grain, 12 MP": partial(_photo, camera, "PNG", grain=0.0, compress_level=6),
        "PNG with a transparent ground, 12 MP": partial(_see_through, camera, "PNG"),
        "PNG in grey of 16 bits, 4 MP": partial(_deep, size(2304, 1728)),
        "WebP of a shop, 1 MP": partial(_photo, shop, "WEBP", quality=80, method=0),
        "WebP, 12 MP": partial(_photo, camera, "WEBP", quality=80, method=0),
        "GIF of 30 frames, 0.5 MP": partial(_moving, size(800, 600), 30 // scale or 1),
        "TIFF, 3 MP": partial(_photo, size(2000, 1500), "TIFF"),
        "BMP, 3 MP": partial(_photo, size(2000, 1500), "BMP"),
        "PNG of one colour, 49 MP": partial(_plain, limit, "PNG", compress_level=9),
        "WebP of one colour, 49 MP": partial(_plain, limit, "WEBP", method=0),
        "JPEG of one colour in 49 scans, 49 MP": partial(_scans, limit, 49),
    }


def bombs() -> Mapping[str, File]:
    """By name: small files that announce, or unfold into, more than is decoded."""
    return {
        "PNG of 100,000 x 100,000": lambda: _png(100_000, _zeros()),
        "PNG just above the limit": lambda: _png(7_100, _zeros()),
        "PNG of 60 texts of 1 MB": lambda: _png(9_000, _texts() + _zeros()),
        "PNG with a colour profile of 30 MB": lambda: _png(9_000, _profile() + _zeros()),
        "GIF of 65,535 x 65,535": lambda: (
            b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\x04\0\1\4\5\0;"
        ),
        "JPEG of 65,500 x 65,500": partial(_jpeg, 65_500),
        "BMP of 60,000 x 60,000": partial(_bmp, 60_000),
        "TIFF of 90,000 x 90,000": partial(_tiff, 90_000),
        "WebP of 16,383 x 16,383": _webp,
        "WebP canvas of 16,384 x 16,384": lambda: (
            b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\xff\x3f\0\xff\x3f\0ANIM\6" + bytes(9)
        ),
        "JPEG in 200 scans, 49 MP": partial(_scans, (7000, 7000), 200),
    }


def _photo(
    size: tuple[int, int], form: str, mode: str = "RGB", grain: float = 3.0, **options: Any
) -> bytes:
    return saved(photograph(1, *size, grain=grain).convert(mode), form, **options)


def _turned(size: tuple[int, int]) -> bytes:
    exif = Image.Exif()
    exif[_TURN] = 6
    return saved(photograph(2, *size), "JPEG", quality=90, exif=exif)


def _see_through(size: tuple[int, int], form: str) -> bytes:
    image = photograph(3, *size, grain=0.0)
    image.putalpha(image.getchannel("G"))
    return saved(image, form, compress_level=6)


def _deep(size: tuple[int, int]) -> bytes:
    grey = np.asarray(photograph(4, *size, grain=0.0).convert("L"), np.uint16)
    return saved(Image.fromarray(grey * 257), "PNG", compress_level=6)


def _moving(size: tuple[int, int], frames: int) -> bytes:
    first, *rest = (photograph(number, *size).quantize(64) for number in range(frames))
    return saved(first, "GIF", save_all=True, append_images=rest, duration=80)


def _png(side: int, content: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + content + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _zeros() -> bytes:
    return _chunk(b"IDAT", zlib.compress(bytes(_ZEROS), 9))


def _texts() -> bytes:
    packed = zlib.compress(bytes(1_000_000))
    return b"".join(_chunk(b"zTXt", b"key%d\0\0" % number + packed) for number in range(60))


def _profile() -> bytes:
    return _chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(_ZEROS), 9))


def _patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    content = struct.pack(form, *values)
    return data[:at] + content + data[at + len(content) :]


def _jpeg(side: int) -> bytes:
    data = harmless("JPEG")
    return _patched(data, data.index(b"\xff\xc0") + 5, ">HH", side, side)


def _plain(size: tuple[int, int], form: str, **options: Any) -> bytes:
    return saved(Image.new("RGB", size, "teal"), form, **options)


def _scans(size: tuple[int, int], scans: int) -> bytes:
    """A progressive picture whose last scan comes again and again: each is a whole pass."""
    data = _plain(size, "JPEG", progressive=True)
    last = data.rindex(_START_OF_SCAN)
    again = scans - data.count(_START_OF_SCAN)
    return data[:-2] + again * data[last:-2] + data[-2:]


def _bmp(side: int) -> bytes:
    return _patched(harmless("BMP"), 18, "<ii", side, side)


def _webp() -> bytes:
    """A lossless one with the largest size that its header can say."""
    data = saved(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    bits = struct.unpack_from("<I", data, at)[0]
    return _patched(data, at, "<I", bits >> 28 << 28 | 16_382 << 14 | 16_382)


def _tiff(side: int) -> bytes:
    data = saved(Image.new("RGB", (200, 200)), "TIFF")
    directory = int.from_bytes(data[4:8], "little")
    for tag in (256, 257):
        entry = data.index(tag.to_bytes(2, "little"), directory)
        data = _patched(data, entry, "<HHII", tag, 4, 1, side)
    return data
