"""A base model is known by its weights."""

import os

import pytest

from serving.base_hash import base_hash
from serving.errors import AdapterError


def test_the_base_hash_follows_the_weights(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"one")
    first = base_hash(tmp_path)
    assert base_hash(tmp_path) == first, "the second time from the side file"
    weights.write_bytes(b"two")
    os.utime(weights, ns=(1, 1))
    assert base_hash(tmp_path) != first
    with pytest.raises(AdapterError, match="no safetensors"):
        base_hash(tmp_path / "nowhere")
