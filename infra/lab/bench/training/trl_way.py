"""TRL's SFTTrainer, as somebody would set it up who knows it and wants it fast.

A listing with B branches is B examples of prompt and completion. They come tokenised, with a mask
over what is taught. All of a step's examples are the data set: an epoch is a step, and its
gradients are accumulated over however many micro batches the set-up makes of it. Gradient
checkpointing, which TRL has on by default, is off: it costs a third and buys memory only.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from infra.lab.bench.job import NotRun
from infra.lab.bench.results import Options
from infra.lab.bench.training.arm import Steps, TrainingJob

PADDED, PADDING_FREE, PACKED = "padded", "padding-free", "packed"


def train(job: TrainingJob, steps: Steps) -> Options:
    """Options: `layout` and `size`.

    layout: `padded` to the longest of a micro batch, grouped by length; `padding-free`, a micro
        batch in one row; `packed`, best-fit decreasing.
    size: examples of a micro batch; for `packed` tokens of a row, one row a micro batch.
    """
    try:
        import torch
        import trl
        from datasets import Dataset
        from peft import LoraConfig
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise NotRun(f"TRL cannot be imported ({error}): run `make bench-training`") from None

    examples = json.loads(Path(job.file).read_text())
    layout, size = str(job.options["layout"]), int(job.options["size"] or 1)
    packed, half = layout == PACKED, job.dtype == "bfloat16"
    attention = _attention(half)
    model = AutoModelForCausalLM.from_pretrained(
        job.base, dtype=getattr(torch, job.dtype), attn_implementation=attention
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = trl.SFTConfig(
            output_dir=folder,
            completion_only_loss=True,
            packing=packed,
            padding_free=layout == PADDING_FREE,
            max_length=size if packed else None,
            per_device_train_batch_size=1 if packed else size,
            # More than there are micro batches: what an epoch leaves over is a step.
            gradient_accumulation_steps=len(examples),
            max_steps=job.steps + 1,
            train_sampling_strategy="group_by_length" if layout == PADDED else "random",
            gradient_checkpointing=False,
            learning_rate=job.learning_rate,
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch",
            bf16=half,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            logging_steps=1,
            disable_tqdm=True,
            report_to="none",
            save_strategy="no",
        )
        trainer = trl.SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(examples),
            processing_class=AutoTokenizer.from_pretrained(job.base),
            peft_config=LoraConfig(
                r=job.rank,
                lora_alpha=job.alpha,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
            callbacks=[_watcher(steps)],
        )
        micro_batches = len(trainer.get_train_dataloader())
        trainer.train()
    return {"micro_batches": micro_batches, "attention": attention, "version": trl.__version__}


def _attention(half: bool) -> str:
    """Flash attention where it is installed and can run, else PyTorch's own."""
    from transformers.utils import is_flash_attn_2_available

    return "flash_attention_2" if half and is_flash_attn_2_available() else "sdpa"


def _watcher(steps: Steps) -> Any:
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        """Tells `steps` of each step: its loss is logged right after the step's end."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs and steps.step(float(logs["loss"])):
                control.should_training_stop = True

    return Watcher()
