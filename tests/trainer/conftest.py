from pathlib import Path

import pytest
import torch

from infra.local.tiny_model import make_tiny_model


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model with a real tokenizer."""
    torch.set_num_threads(1)
    return make_tiny_model(tmp_path_factory.mktemp("base"))
