"""The number type is the faster one of this machine, unless it is named."""

import pytest
import torch

from serving.engine import precision

CPU = torch.device("cpu")


def test_a_named_type_is_taken_without_measuring(monkeypatch):
    monkeypatch.setattr(precision, "measure_rate", pytest.fail)
    assert precision.choose_dtype("float32", CPU) is torch.float32
    assert precision.choose_dtype("bfloat16", CPU) is torch.bfloat16


@pytest.mark.parametrize(
    ("half_rate", "chosen"), [(17, torch.float32), (100, torch.float32), (200, torch.bfloat16)]
)
def test_bf16_has_to_be_clearly_faster(monkeypatch, half_rate, chosen):
    rates = {torch.float32: 90.0, torch.bfloat16: half_rate}
    monkeypatch.setattr(precision, "measure_rate", lambda dtype, *_: rates[dtype])
    assert precision.choose_dtype("auto", CPU) is chosen


def test_a_rate_is_measured():
    assert precision.measure_rate(torch.float32, CPU, (64, 128), rows=8) > 0
