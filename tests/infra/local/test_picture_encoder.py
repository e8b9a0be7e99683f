"""The converted encoder computes what the file's convolutions and batch norms compute."""

from pathlib import Path

import pytest
import torch
from torch import nn

from infra.local.errors import PartError
from infra.local.picture_encoder import BATCH_NORM_EPSILON, convert_in_subprocess, folded
from serving.engine.eyes.encoder import LITE0, load_encoder


def test_batch_norm_is_folded_into_its_convolution() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    norm = nn.BatchNorm2d(4, eps=BATCH_NORM_EPSILON).eval()
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        assert tensor is not None
        tensor.uniform_(0.1, 2)
    file = {
        "_conv_stem.weight": convolution.weight.detach(),
        "_conv_head.weight": torch.zeros(4, 4, 1, 1),
    }
    for place in ("_bn0", "_bn1"):
        file |= {f"{place}.{name}": tensor for name, tensor in norm.state_dict().items()}
    weights = folded(file, blocks=0)
    assert sorted(weights) == ["head.bias", "head.weight", "stem.bias", "stem.weight"]
    x = torch.randn(2, 3, 9, 9)
    got = nn.functional.conv2d(x, weights["stem.weight"], weights["stem.bias"])
    torch.testing.assert_close(got, norm(convolution(x)))


@pytest.mark.slow
def test_a_file_with_other_weights_is_refused_in_a_sentence(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(PartError, match=r"not be converted .* run the same command again"):
        convert_in_subprocess(tmp_path / "other.pth", tmp_path)


class Dangerous:
    """Unpickled, it would make a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.file), "w")


@pytest.mark.slow
def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": Dangerous(tmp_path / "made")}, tmp_path / "bad.pth")
    with pytest.raises(PartError, match="could not be converted"):
        convert_in_subprocess(tmp_path / "bad.pth", tmp_path)
    assert not (tmp_path / "made").exists()


def test_the_part_is_the_encoder_that_its_folder_says(picture_encoder: Path) -> None:
    assert load_encoder(picture_encoder, torch.device("cpu")).config == LITE0
