"""Whether this machine and this base are served by the compiled decoder, and if not, why.

It imports no OpenVINO itself, which may not be installed.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

VERSION = "2026.4.1"
"""The graph is built of an operation that other versions give other inputs."""


class Unsuited(Exception):
    """The compiled decoder cannot serve; the message says why, and what would change it."""


def check_machine(device: torch.device) -> None:
    """Whether there are the package and the processor.

    Raises:
        Unsuited: there are not.
    """
    if device.type != "cpu":
        raise Unsuited(f"it computes on CPUs only, and this base is on {device.type}")
    try:
        found = version("openvino")
    except PackageNotFoundError:
        raise Unsuited(
            f"OpenVINO is not installed; install openvino=={VERSION} (the extra `openvino`)"
        ) from None
    if found != VERSION:
        raise Unsuited(f"OpenVINO {found} is installed; install openvino=={VERSION}")
    capability = torch.backends.cpu.get_cpu_capability()
    if not capability.startswith("AVX"):
        raise Unsuited(f"it needs a processor with AVX2, and this one has {capability}")


def check_config(config: Any) -> None:
    """Whether the graph can express a base of this configuration, as far as that can be seen in it.

    Raises:
        Unsuited: it cannot.
    """
    text = config.get_text_config()
    if "mrope_section" in (getattr(text, "rope_parameters", None) or {}):
        raise Unsuited(f"{text.model_type} has positions on three axes, which the graph does not")


def check_base(model: Any) -> None:
    """Whether the graph can express this base.

    Raises:
        Unsuited: it cannot.
    """
    if model.dtype not in (torch.float32, torch.bfloat16):
        raise Unsuited(f"it computes in fp32 or bf16, and the base is in {model.dtype}")
    check_config(model.config)
    if hasattr(model.get_decoder().rotary_emb, "mrope_section"):
        kind = model.config.model_type
        raise Unsuited(f"{kind} has positions on three axes, which the graph does not")
