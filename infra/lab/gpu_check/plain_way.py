"""What training is compared with where TRL is not to be had: transformers and peft, padded.

As TRL's SFTTrainer does it, and no more: each branch an example with its trunk, a micro batch
padded to its longest, of about equal lengths; LoRA on all linear layers, bf16 autocast, AdamW,
clipping.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from infra.lab.bench.results import Options
from infra.lab.bench.training.arm import Steps, TrainingJob

IGNORED = -100


def train(job: TrainingJob, steps: Steps) -> Options:
    """Options: `size`, examples of a micro batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = job.dtype == "bfloat16"
    loaded: Any = AutoModelForCausalLM.from_pretrained(job.base, dtype=getattr(torch, job.dtype))
    config = LoraConfig(
        r=job.rank, lora_alpha=job.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model: Any = get_peft_model(loaded.to(device), config)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=job.learning_rate, weight_decay=0.0)
    batches = padded(json.loads(Path(job.file).read_text()), int(job.options["size"] or 1), device)
    labels = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
    done = False
    while not done:
        total = 0.0
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                loss = model(**batch, num_items_in_batch=labels).loss
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        done = steps.step(float(total))
    return {"micro_batches": len(batches)}


def padded(
    examples: Sequence[dict[str, list[int]]], size: int, device: torch.device
) -> list[dict[str, torch.Tensor]]:
    """Micro batches of `size` examples of about the same length, as a model takes them."""
    by_length = sorted(examples, key=lambda example: len(example["input_ids"]))
    batches = []
    for start in range(0, len(by_length), size):
        chosen = by_length[start : start + size]
        shape = (len(chosen), len(chosen[-1]["input_ids"]))
        ids, there = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, IGNORED)
        for row, example in enumerate(chosen):
            tokens = torch.tensor(example["input_ids"])
            ids[row, : len(tokens)], there[row, : len(tokens)] = tokens, 1
            taught = torch.tensor(example["completion_mask"], dtype=torch.bool)
            labels[row, : len(tokens)] = tokens.where(taught, torch.tensor(IGNORED))
        batch = {"input_ids": ids, "attention_mask": there, "labels": labels}
        batches.append({name: tensor.to(device) for name, tensor in batch.items()})
    return batches
