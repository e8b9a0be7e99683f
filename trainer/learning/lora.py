"""The model that trains: LoRA on every linear layer of the base's blocks; eyes stay frozen.

Adapters travel as tensors in peft's key naming, A of shape (rank, in) and B of (out, rank), fp32.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import nn
from transformers import PreTrainedModel

from serving.engine.lora import GROUPS
from trainer.errors import TrainingError
from trainer.settings import TrainerSettings

LoraTensors = Mapping[str, torch.Tensor]


def add_lora(model: PreTrainedModel, settings: TrainerSettings) -> PeftModel:
    """`model` with a fresh LoRA on all linear layers of its blocks: it still answers as before."""
    # A is drawn at random: the same seed must give the same round.
    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_targets(model),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _targets(model: PreTrainedModel) -> str:
    """As peft takes it: all linear layers of blocks; of a base with eyes only the language part's.

    Eyes have modules of the same names.
    """
    body = model.get_decoder()
    if body is model.base_model:
        return "all-linear"
    [name] = (name for name, module in model.named_modules() if module is body)
    modules = (re.escape(module) for group in GROUPS.values() for module in group)
    return rf"{re.escape(name)}\.layers\.\d+\.({'|'.join(modules)})"


def read_lora(model: PeftModel) -> dict[str, torch.Tensor]:
    """A copy of the adapter's tensors, on the CPU."""
    state = get_peft_model_state_dict(model)
    return {name: tensor.detach().float().cpu().clone() for name, tensor in state.items()}


def write_lora(model: PeftModel, tensors: LoraTensors) -> None:
    """Replace the adapter's tensors.

    Raises:
        TrainingError: the tensors are of another rank or another model.
    """
    expected = {name: tensor.shape for name, tensor in get_peft_model_state_dict(model).items()}
    given = {name: tensor.shape for name, tensor in tensors.items()}
    if expected != given:
        raise TrainingError(
            "the parent adapter has other tensors than this round trains; keep `rank` and the base "
            "model as they were, or roll back to `base`"
        )
    set_peft_model_state_dict(model, dict(tensors))


def freeze_in_bfloat16(model: PeftModel) -> None:
    """Keep the frozen linear weights in bf16: autocast would convert them again at every use.

    Eyes stay as they are: what they see is computed once, and without autocast.
    """
    base: Any = model.get_base_model()
    for module in (*base.get_decoder().modules(), base.get_output_embeddings()):
        if isinstance(module, nn.Linear) and not module.weight.requires_grad:
            module.to(torch.bfloat16)


def peft_config_text(model: PeftModel) -> str:
    """The text of peft's adapter_config.json, without this machine's paths."""
    config = dict(model.peft_config["default"].to_dict())
    config |= {"base_model_name_or_path": None, "inference_mode": True}
    targets = config["target_modules"]
    config["target_modules"] = targets if isinstance(targets, str) else sorted(targets)
    return json.dumps(config, default=str, sort_keys=True)
