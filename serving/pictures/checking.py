"""A stranger's bytes into a picture of ours, or a refusal of one sentence; nothing else comes out.

The format is told by content. What a header says is checked before anything is decoded, so that a
small file that unfolds into gigabytes costs nothing. What is seen is turned as the camera was held,
on white where it is transparent, the first of an animation's frames, in RGB of 8 bits, its longer
edge at most `edge` px, and never enlarged. The same bytes always give the same picture.
"""

import io
import re
import warnings
from typing import TYPE_CHECKING

from serving.errors import PictureRefused
from serving.pictures.picture import Picture, costly

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
QUALITY = 90

_TURN = 0x0112
_TILE_SIDES = (322, 323)
MOST_PIECES = 10_000
"""Chunks of a PNG, and blocks before a GIF's first frame: each costs Python a step."""
_NEEDED_OF_PNG = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_EXTENSION, _GRAPHIC_CONTROL = 0x21, 0xF9


def check(data: bytes, edge: int, max_bytes: int, max_pixels: int) -> Picture:
    """What is seen of the picture in `data`, its longer edge at most `edge` px.

    Raises:
        PictureRefused: if it is too long, too large, in a format that is not read, or faulty.
    """
    if len(data) > max_bytes:
        raise PictureRefused(f"it has more than {max_bytes:,} bytes; send a smaller one")
    # Pillow warns of what is refused or passed over here; a stranger's file must not fill a log.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with _opened(_without_metadata(data), max_pixels) as image:
            return _encoded(_flat(_shrunk(_turned(_decoded(image, edge)), edge)))
    except PictureRefused:
        raise
    except Exception as error:  # a decoder that is given nonsense raises whatever it likes
        said = re.sub(r"\s+", " ", str(error))[:200] or type(error).__name__
        raise PictureRefused(
            f"it cannot be decoded ({said}); send the file again, whole"
        ) from error


def _opened(data: bytes, max_pixels: int) -> "Image.Image":
    """The picture with its header read and its pixels not."""
    from PIL import Image, UnidentifiedImageError
    from PIL.TiffImagePlugin import TiffImageFile

    width, height = _webp_canvas(data)
    _check_size(width, height, max_pixels)
    if data[:3] == _JPEG and (reason := costly(data)):
        raise PictureRefused(f"{reason}; save it anew")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        known = "JPEG, PNG, WebP, GIF, TIFF or BMP"
        raise PictureRefused(f"it is no {known}, or its header is broken; send one") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureRefused(_too_large(max_pixels)) from error
    _check_size(*image.size, max_pixels)
    if isinstance(image, TiffImageFile):
        width, height = (int(image.tag_v2.get(side, 1)) for side in _TILE_SIDES)
        _check_size(width, height, max_pixels)
    return image


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PictureRefused(_too_large(max_pixels))


def _too_large(max_pixels: int) -> str:
    return f"it has more than {max_pixels:,} pixels; send a smaller one"


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP whose header has them first, as RFC 9649 says; else (0, 0).

    Pillow allocates the whole canvas when it opens one.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8X" or len(data) < 30:
        return 0, 0
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height


def _without_metadata(data: bytes) -> bytes:
    """A PNG or GIF without the pieces that do not change its first picture: they unfold, or take
    long to read, and say nothing.

    What is cut or nonsense stays as it is, for the decoder to refuse.

    Raises:
        PictureRefused: it is in too many pieces.
    """
    if data.startswith(_GIF):
        return _gif_without_comments(data)
    if not data.startswith(_PNG):
        return data
    kept, at, pieces = [_PNG], len(_PNG), 0
    while at < len(data):
        pieces += 1
        if pieces > MOST_PIECES:
            raise _too_many_pieces()
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in _NEEDED_OF_PNG:
            kept.append(data[at:end])
        at = len(data) if data[at + 4 : at + 8] == b"IEND" else end
    return b"".join(kept)


def _gif_without_comments(data: bytes) -> bytes:
    """Of what stands before the first frame only the palette and what makes it transparent."""
    if len(data) < 13:
        return data
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    kept, pieces = [data[:at]], 0
    while data[at : at + 1] == bytes((_EXTENSION,)):
        end = at + 2
        while end < len(data) and data[end]:
            end += 1 + data[end]
            pieces += 1
            if pieces > MOST_PIECES:
                raise _too_many_pieces()
        end += 1
        if data[at + 1 : at + 2] == bytes((_GRAPHIC_CONTROL,)):
            kept.append(data[at:end])
        at, pieces = end, pieces + 1
    return b"".join((*kept, data[at:]))


def _too_many_pieces() -> PictureRefused:
    return PictureRefused(f"it is in more than {MOST_PIECES:,} pieces; save it anew")


def _decoded(image: "Image.Image", edge: int) -> "Image.Image":
    """The first frame's pixels. A large JPEG is decoded at a half, a quarter or an eighth."""
    width, height = _fitting(image.size, edge)
    image.draft(None, (2 * width, 2 * height))  # twice, so that what is seen is still averaged
    image.load()
    return image


def _turned(image: "Image.Image") -> "Image.Image":
    """Upright, as EXIF says; a TIFF is turned by its decoder."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(_TURN, 1))
    except Exception:  # EXIF that is nonsense turns nothing; the pixels are there
        turn = None
    return image if turn is None else image.transpose(turn)


def _shrunk(image: "Image.Image", edge: int) -> "Image.Image":
    """In RGB, or RGBA where it is transparent, and no larger than `edge`.

    Colours count by their opacity: of what is transparent none bleeds into its neighbours.
    """
    from PIL import Image

    image = _in_8_bits(image)
    see_through = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    for mode in ("RGBA", "RGBa") if see_through else ("RGB",):
        if image.mode != mode:  # else it would be copied, all of it
            image = image.convert(mode)
    size = _fitting(image.size, edge)
    # Averaged in whole blocks down to twice the size, then exactly: as good, and much quicker.
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image.convert("RGBA") if see_through else image


def _in_8_bits(image: "Image.Image") -> "Image.Image":
    """A grey picture of 16 bits with its upper 8; Pillow itself would clip it."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise PictureRefused("its pixels have 32 bits; save it with 8 or 16 bits a channel")
    return image


def _fitting(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """`size` shrunk so that its longer edge is at most `edge`; both stay at least 1."""
    longer = max(size)
    if longer <= edge:
        return size
    width, height = (max(1, round(side * edge / longer)) for side in size)
    return width, height


def _flat(image: "Image.Image") -> "Image.Image":
    """In RGB, on white."""
    from PIL import Image

    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _encoded(image: "Image.Image") -> Picture:
    """A JPEG of colours at full resolution, without metadata."""
    image.info = {}  # Pillow would write a comment again
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return Picture(out.getvalue())
