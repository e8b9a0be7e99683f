"""A stranger's bytes into a picture of ours."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from serving.errors import PictureRefused
from serving.pictures.checking import check
from serving.pictures.picture import Picture
from tests.serving.pictures.drawing import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    chunk,
    left_red_right_blue,
    near,
    noise,
    plain,
    png_header,
    saved,
    smooth,
)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")


def checked(
    data: bytes, edge: int = 384, max_bytes: int = 10_000_000, max_pixels: int = 50_000_000
) -> Picture:
    return check(data, edge, max_bytes, max_pixels)


def at(picture: Picture, x: float, y: float) -> tuple[int, ...]:
    """The colour at a place between 0 and 1."""
    image = picture.pixels()
    colour = image.getpixel((int(x * (image.width - 1)), int(y * (image.height - 1))))
    assert isinstance(colour, tuple)
    return colour


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_told_by_its_content_and_seen_in_its_colours(form: str) -> None:
    picture = checked(saved(left_red_right_blue(), form))
    assert near(at(picture, 0.1, 0.5), RED)
    assert near(at(picture, 0.9, 0.5), BLUE)


def test_a_picture_is_a_jpeg_at_full_colour_resolution_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = saved(left_red_right_blue(), "JPEG", exif=exif, comment=b"a secret word")
    picture = checked(data)
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == "JPEG"
        assert image.mode == "RGB"
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]
        assert not image.getexif()
    assert b"secret" in data
    assert b"secret" not in picture.data


def test_the_same_bytes_give_the_same_picture_and_others_another() -> None:
    data = saved(smooth((900, 700)), "JPEG")
    assert checked(data) == checked(data)
    assert checked(data).sha256 == checked(data).sha256
    assert checked(data).sha256 != checked(saved(smooth((900, 700), 1), "JPEG")).sha256


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((800, 600), (384, 288)),
        ((600, 800), (288, 384)),
        ((384, 384), (384, 384)),
        ((100, 50), (100, 50)),
        ((1, 1), (1, 1)),
        ((1, 10_000), (1, 384)),
        ((10_000, 1), (384, 1)),
        ((10_000, 13), (384, 1)),
        ((4000, 3000), (384, 288)),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_the_longer_edge_is_shrunk_to_the_edge_and_never_enlarged(
    size: tuple[int, int], seen: tuple[int, int], form: str
) -> None:
    assert checked(plain(size, form=form)).pixels().size == seen


def test_a_large_jpeg_looks_as_if_it_had_been_decoded_whole() -> None:
    image = smooth((3000, 2000), grain=64)
    quick = checked(saved(image, "JPEG", quality=95)).pixels()
    whole = image.resize((384, 256), Image.Resampling.LANCZOS)
    apart = np.abs(np.asarray(quick, dtype=float) - np.asarray(whole, dtype=float))
    assert apart.mean() < 3  # of 255


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_exif_says(turn: int, form: str) -> None:
    upright = Image.new("RGB", (60, 40), WHITE)
    upright.paste(RED, (0, 0, 30, 20))
    upright.paste(BLUE, (30, 20, 60, 40))
    upright.paste(GREEN, (30, 0, 60, 20))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    held = upright.transpose(undo[turn]) if turn > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    lossless = {"lossless": True} if form == "WEBP" else {}
    picture = checked(saved(held, form, exif=exif, **lossless))
    assert picture.pixels().size == (60, 40)
    assert near(at(picture, 0.2, 0.2), RED)
    assert near(at(picture, 0.8, 0.2), GREEN)
    assert near(at(picture, 0.8, 0.8), BLUE)
    assert near(at(picture, 0.2, 0.8), WHITE)


def test_exif_that_is_nonsense_turns_nothing() -> None:
    data = saved(
        left_red_right_blue(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xaa" * 30
    )
    assert near(at(checked(data), 0.1, 0.5), RED)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_seen_on_white(form: str) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 20, 40))
    picture = checked(saved(image, form))
    assert near(at(picture, 0.1, 0.5), RED)
    assert near(at(picture, 0.9, 0.5), WHITE)


def test_half_transparent_is_half_white_also_where_it_is_shrunk() -> None:
    image = Image.new("RGBA", (1000, 1000), (255, 0, 0, 128))
    assert near(at(checked(saved(image)), 0.5, 0.5), (255, 127, 127))


def test_no_colour_of_what_is_transparent_bleeds_into_what_is_not() -> None:
    image = Image.new("RGBA", (1000, 1000), (0, 0, 0, 0))
    for column in range(0, 1000, 2):
        image.paste((*RED, 255), (column, 0, column + 1, 1000))
    assert near(at(checked(saved(image)), 0.5, 0.5), (255, 127, 127))


def test_grey_with_alpha_is_seen_on_white() -> None:
    assert near(at(checked(saved(Image.new("LA", (9, 9), (0, 0)))), 0.5, 0.5), WHITE)


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour_is_seen_on_white(form: str) -> None:
    image = left_red_right_blue().convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    transparent = image.getpixel((60, 5))
    picture = checked(saved(image, form, transparency=transparent))
    assert near(at(picture, 0.1, 0.5), RED)
    assert near(at(picture, 0.9, 0.5), WHITE)


def test_a_colour_that_stands_for_transparent_is_seen_as_white() -> None:
    picture = checked(saved(left_red_right_blue(), "PNG", transparency=BLUE))
    assert near(at(picture, 0.1, 0.5), RED)
    assert near(at(picture, 0.9, 0.5), WHITE)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_seen(form: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE, GREEN)]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:])
    assert near(at(checked(data), 0.5, 0.5), RED)


def test_of_the_two_pictures_of_a_camera_s_mpo_the_first_is_seen() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert near(at(checked(data), 0.5, 0.5), RED)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_seen_in_rgb(form: str) -> None:
    picture = checked(plain(mode="CMYK", colour=(0, 255, 255, 0), form=form))
    assert near(at(picture, 0.5, 0.5), RED)


@pytest.mark.parametrize(("mode", "colour"), [("1", 1), ("L", 255), ("P", 0)])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_black_and_white_grey_and_palettes_are_seen_in_rgb(
    mode: str, colour: int, form: str
) -> None:
    image = Image.new(mode, (32, 32), colour)
    if mode == "P":
        image.putpalette(list(WHITE) * 256)
    assert near(at(checked(saved(image, form)), 0.5, 0.5), WHITE)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_grey_picture_of_16_bits_is_scaled_and_not_clipped(form: str) -> None:
    grey = np.full((32, 32), 0x8000, dtype=np.uint16)
    assert near(at(checked(saved(Image.fromarray(grey), form)), 0.5, 0.5), (128, 128, 128))


def test_a_grey_tiff_of_16_bits_of_the_other_byte_order_is_scaled_too() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x8000, dtype=">u2"))
    assert near(at(checked(saved(grey, "TIFF")), 0.5, 0.5), (128, 128, 128))


def test_a_coloured_png_of_16_bits_is_scaled() -> None:
    row = b"\0" + b"\xff\xff\x80\x00\x00\x00" * 8
    data = png_header(8, 8, depth=16) + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    assert near(at(checked(data), 0.5, 0.5), (255, 128, 0))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(mode: str) -> None:
    with pytest.raises(PictureRefused, match="32 bits"):
        checked(saved(Image.new(mode, (8, 8)), "TIFF"))


@pytest.mark.parametrize("form", ["ICO", "PPM", "TGA", "PCX", "SGI", "PDF", "EPS", "JPEG2000"])
def test_another_format_is_refused_with_those_that_are_read(form: str) -> None:
    with pytest.raises(PictureRefused, match="no JPEG, PNG, WebP, GIF, TIFF or BMP"):
        checked(plain(form=form))


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>404</html>", b"%PDF-1.7\n%"],
    ids=["nothing", "svg", "html", "pdf"],
)
def test_what_is_no_picture_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(PictureRefused, match="no JPEG, PNG, WebP, GIF, TIFF or BMP"):
        checked(data)


def test_a_file_that_is_too_long_is_refused_with_the_limit() -> None:
    with pytest.raises(PictureRefused, match=r"more than 1,000 bytes"):
        checked(saved(noise((64, 64)), "PNG"), max_bytes=1000)


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_of_too_many_pixels_is_refused_with_the_limit(form: str) -> None:
    with pytest.raises(PictureRefused, match=r"more than 9,999 pixels"):
        checked(plain((100, 100), form=form), max_pixels=9_999)
    assert checked(plain((100, 100), form=form), max_pixels=10_000)


def test_a_tiff_whose_tiles_are_larger_than_any_picture_is_refused() -> None:
    strips = plain((8, 8), form="TIFF")
    width, length, offsets, counts = 322, 323, 324, 325
    tiles = _with_entry(strips, 278, width, 100_000)
    tiles = _with_entry(tiles, 284, length, 100_000)
    tiles = _with_entry(_with_entry(tiles, 273, offsets), 279, counts)
    with pytest.raises(PictureRefused, match="more than 50,000,000 pixels"):
        checked(tiles)


def _with_entry(tiff: bytes, tag: int, other: int, value: int | None = None) -> bytes:
    """The TIFF with `other` in place of `tag`, and with a value of 32 bits if one is given."""
    at = tiff.index(tag.to_bytes(2, "little"), int.from_bytes(tiff[4:8], "little"))
    entry = tiff[at + 2 : at + 12] if value is None else struct.pack("<HII", 4, 1, value)
    return tiff[:at] + other.to_bytes(2, "little") + entry + tiff[at + 12 :]


def test_a_jpeg_of_very_many_segments_is_refused_and_a_little_junk_between_them_is_not() -> None:
    jpeg = plain(form="JPEG")
    comment = b"\xff\xfe\x00\x02"
    with pytest.raises(PictureRefused, match="more than 1,000 segments; save it anew"):
        checked(jpeg[:2] + 1000 * comment + jpeg[2:])
    with pytest.raises(PictureRefused, match="header is broken; save it anew"):
        checked(jpeg[:2] + comment + 1000 * b"junk" + jpeg[2:])
    for some in (900 * comment, comment + b"junk" + comment, comment + b"\xff\xff" + comment):
        assert checked(jpeg[:2] + some + jpeg[2:])


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = saved(noise((64, 64)), "JPEG", progressive=True)
    assert checked(data)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PictureRefused, match="more than 50 scans"):
        checked(data[:-2] + scan * 60 + data[-2:])


# What a stranger may send


def hostile() -> dict[str, bytes]:
    """Files that are no good, by what is wrong with them."""
    whole = {form: saved(noise((120, 90)), form) for form in FORMATS}
    files = {f"{form} cut at {part}": _cut(whole[form], part) for form in whole for part in (2, 9)}
    magic = {form: data[:16] for form, data in whole.items()}
    junk = np.random.default_rng(1).bytes(5000)
    files |= {
        f"random bytes behind the beginning of a {form}": magic[form] + junk for form in magic
    }
    files["random bytes"] = junk
    files["PNG without pixels"] = png_header(8, 8) + chunk(b"IEND", b"")
    files["PNG of no width"] = png_header(0, 8) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    files["PNG of a colour type that is none"] = png_header(8, 8, colour=5)
    files["PNG whose chunk is longer than the file"] = png_header(8, 8) + b"\x7f\xff\xff\xffIDATxx"
    for tag, value in {"width": 256, "offsets": 273, "bits": 258}.items():
        files[f"TIFF with absurd {value} ({tag})"] = _absurd_tag(whole["TIFF"], value)
    return files


def _cut(data: bytes, part: int) -> bytes:
    return data[: len(data) * part // 10]


def _absurd_tag(tiff: bytes, tag: int) -> bytes:
    """The TIFF with a count and a value for `tag` that cannot be."""
    entry = tiff.index(tag.to_bytes(2, "little"), int.from_bytes(tiff[4:8], "little"))
    return tiff[: entry + 4] + b"\xff\xff\xff\x7f\xff\xff\xff\x7f" + tiff[entry + 12 :]


HOSTILE = hostile()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_file_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(PictureRefused) as refused:
        checked(HOSTILE[name])
    assert "\n" not in str(refused.value)
    assert 10 < len(str(refused.value)) < 300


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_with_flipped_bytes_is_seen_or_refused_and_nothing_else(form: str) -> None:
    whole = saved(noise((40, 30)), form)
    chance = np.random.default_rng(2)
    for _ in range(150):
        data = bytearray(whole)
        for place in chance.integers(0, min(len(data), 400), 4):
            data[place] = chance.integers(0, 256)
        with suppress(PictureRefused):
            assert max(checked(bytes(data), max_pixels=1_000_000).pixels().size) <= 384
