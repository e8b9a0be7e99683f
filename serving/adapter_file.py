"""The adapter file: how a fine-tuned adapter travels, is checked, and is kept.

An adapter is one safetensors blob in peft's own key naming,

    base_model.model.<module>.lora_A.weight   (r, in)
    base_model.model.<module>.lora_B.weight   (out, r)

whose header carries `adapter_id, parent_id, parent_hash, base_hash, rank, alpha, peft_config`, and
`calibration` where the trainer had listings to calibrate on. An adapter that sees has a projector
as well (`serving.projector`). Its hash is the SHA-256 of the whole
blob, and its identity everywhere; its id is a name that is never reused. The same content always
gives the same bytes. The trainer writes these files, a push carries them, and the engine checks
them before anything else sees them.

Reading a header needs no torch, so that a stream worker can push; tensors import it when asked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.events import BASE_ADAPTER
from serving.calibration import MAX_CALIBRATION_CHARACTERS, Calibration
from serving.errors import AdapterError
from serving.projector import EYES, PROJECTOR, Sight, check_projector, read_sight

if TYPE_CHECKING:
    import torch

PREFIX = "base_model.model."
SUFFIX_A = ".lora_A.weight"
SUFFIX_B = ".lora_B.weight"
METADATA_KEYS = (
    "adapter_id",
    "parent_id",
    "parent_hash",
    "base_hash",
    "rank",
    "alpha",
    "peft_config",
)
CALIBRATION = "calibration"
"""The header entry with a `Calibration` as JSON; an adapter may be without."""

# A header is some hundred bytes a tensor; a length beyond this is no safetensors file.
MAX_HEADER_BYTES = 16 << 20
# peft settings that change what an adapter computes beyond W + alpha/r * B @ A.
UNSUPPORTED_PEFT = (
    "use_dora",
    "use_rslora",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "lora_bias",
)

Shapes = Mapping[str, tuple[int, int]]
"""Linear modules of a base model by name: (out, in)."""


@dataclass(frozen=True)
class AdapterFile:
    """An adapter's bytes and what its header says."""

    id: str
    hash: str
    base_hash: str
    rank: int
    alpha: float
    metadata: Mapping[str, str]
    blob: bytes
    calibration: Calibration | None = None
    sight: Sight | None = None

    @property
    def scale(self) -> float:
        """alpha / r, the factor of B @ A."""
        return self.alpha / self.rank

    def tensors(self) -> "dict[str, torch.Tensor]":
        """All tensors by their name in the file: LoRA's by peft's, a projector's by ours."""
        from safetensors.torch import load

        return load(self.blob)

    def pairs(self) -> "dict[str, tuple[torch.Tensor, torch.Tensor]]":
        """A (r, in) and B (out, r) by module name.

        Raises:
            AdapterError: a tensor that is neither, or one without its other half.
        """
        tensors = lora_tensors(self.tensors())
        modules = {name.removesuffix(SUFFIX_A).removesuffix(SUFFIX_B) for name in tensors}
        pairs = {}
        for module in sorted(modules):
            a, b = tensors.get(module + SUFFIX_A), tensors.get(module + SUFFIX_B)
            if a is None or b is None or not module.startswith(PREFIX):
                raise AdapterError(
                    f"adapter {self.id}: {module!r} is no pair of lora_A and lora_B weights; "
                    "write the file with serving.adapter_file.write_adapter"
                )
            pairs[module.removeprefix(PREFIX)] = (a, b)
        return pairs

    def projector(self) -> "dict[str, torch.Tensor]":
        """The projector's tensors by name, without `projector.`; empty where it has none."""
        return projector_tensors(self.tensors())


def lora_tensors(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Those of an adapter's tensors that are LoRA's."""
    return {name: t for name, t in tensors.items() if not name.startswith(PROJECTOR)}


def projector_tensors(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Those of an adapter's tensors that are its projector's, by its own names."""
    named = {name: t for name, t in tensors.items() if name.startswith(PROJECTOR)}
    return {name.removeprefix(PROJECTOR): t for name, t in named.items()}


def blob_hash(blob: bytes) -> str:
    """The adapter hash: SHA-256 of the blob, 64 hexadecimal digits."""
    return hashlib.sha256(blob).hexdigest()


def read_adapter(blob: bytes) -> AdapterFile:
    """The adapter in `blob`, its header checked; its tensors are read when asked for.

    Raises:
        AdapterError: bytes that are no adapter file.
    """
    metadata = _read_header(blob).get("__metadata__", {})
    missing = [key for key in METADATA_KEYS if key not in metadata]
    if missing:
        raise AdapterError(f"the adapter's header lacks {', '.join(missing)}; write it anew")
    try:
        rank, alpha = int(metadata["rank"]), float(metadata["alpha"])
        peft_config = json.loads(metadata["peft_config"])
    except ValueError as error:
        raise AdapterError(
            f"the adapter's header cannot be read ({error}); write it anew"
        ) from None
    if rank < 1 or not metadata["adapter_id"] or not isinstance(peft_config, dict):
        raise AdapterError("the adapter's header has no rank, id or peft_config; write it anew")
    if metadata["adapter_id"] == BASE_ADAPTER:
        raise AdapterError(f"an adapter may not be called {BASE_ADAPTER!r}; choose another id")
    unsupported = [key for key in UNSUPPORTED_PEFT if peft_config.get(key)]
    if unsupported or peft_config.get("bias", "none") != "none":
        raise AdapterError(
            f"peft's {', '.join(unsupported) or 'bias'} is not served; use plain LoRA"
        )
    return AdapterFile(
        id=metadata["adapter_id"],
        hash=blob_hash(blob),
        base_hash=metadata["base_hash"],
        rank=rank,
        alpha=alpha,
        metadata=metadata,
        blob=blob,
        calibration=_read_calibration(metadata.get(CALIBRATION)),
        sight=read_sight(metadata.get(EYES)),
    )


def write_adapter(tensors: "Mapping[str, torch.Tensor]", metadata: Mapping[str, Any]) -> bytes:
    """The blob of an adapter with these tensors (peft's names) and header entries.

    Args:
        tensors: by name, as `peft.get_peft_model_state_dict` gives them, and a projector's.
        metadata: `METADATA_KEYS`, `CALIBRATION`, `EYES` and any others; values are stored as text.

    Raises:
        AdapterError: a header entry is missing or cannot be served.
    """
    from safetensors.torch import save

    content = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    plain = save(content)
    header = _read_header(plain)
    # The library writes metadata in the order of a hash map; sorted, equal content has equal bytes.
    header["__metadata__"] = {key: str(metadata[key]) for key in sorted(metadata)}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    data_start = 8 + int.from_bytes(plain[:8], "little")
    blob = len(text).to_bytes(8, "little") + text + plain[data_start:]
    read_adapter(blob)
    return blob


def check_adapter(
    adapter: AdapterFile, shapes: Shapes, base_hash: str, sight: Sight | None = None
) -> None:
    """Check that `adapter` fits the base model with these linear modules.

    Args:
        adapter: what is checked.
        shapes: of the base's linear modules.
        base_hash: the base's.
        sight: what is here of an encoder, in front of this base; None for none.

    Raises:
        AdapterError: another base or encoder, an unknown module, a wrong shape, or values not
            finite.
    """
    if adapter.base_hash != base_hash:
        raise AdapterError(
            f"adapter {adapter.id} was trained on base {adapter.base_hash[:12]}, this one is "
            f"{base_hash[:12]}; serve the base that it was trained on"
        )
    try:
        pairs = adapter.pairs()
    except AdapterError:
        raise
    except Exception as error:  # safetensors has several kinds of its own
        raise AdapterError(f"adapter {adapter.id}: its tensors cannot be read ({error})") from None
    if not pairs:
        raise AdapterError(f"adapter {adapter.id} has no tensors; train it first")
    for module, (a, b) in pairs.items():
        _check_pair(adapter, module, a, b, shapes)
    check_projector(adapter.id, adapter.sight, adapter.projector(), sight)


def to_peft_folder(blob: bytes, folder: Path) -> None:
    """Write `blob` as a folder that `peft.PeftModel.from_pretrained` loads as it is.

    A projector, of which peft knows nothing, goes into a file beside: `projector.safetensors`.
    """
    from safetensors.torch import save_file

    adapter = read_adapter(blob)
    folder.mkdir(parents=True, exist_ok=True)
    lora, metadata = folder / "adapter_model.safetensors", dict(adapter.metadata)
    if adapter.sight is None:
        lora.write_bytes(blob)
    else:
        save_file(lora_tensors(adapter.tensors()), lora, metadata)
        save_file(adapter.projector(), folder / "projector.safetensors", metadata)
    (folder / "adapter_config.json").write_text(adapter.metadata["peft_config"])


def _read_header(blob: bytes) -> dict[str, Any]:
    length = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or length > min(MAX_HEADER_BYTES, len(blob) - 8):
        raise AdapterError("these bytes are no safetensors file; send an adapter file whole")
    try:
        header = json.loads(blob[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        if max(ends, default=0) != len(blob) - 8 - length:
            raise AdapterError("the adapter file is cut short or too long; send it whole")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise AdapterError("the adapter file's header is not readable; send it whole") from None
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise AdapterError("the adapter file's metadata is not readable; write it anew")
    return header


def _read_calibration(text: str | None) -> Calibration | None:
    if text is None:
        return None
    if len(text) > MAX_CALIBRATION_CHARACTERS:
        raise AdapterError(
            f"the adapter's calibration has {len(text)} characters, at most "
            f"{MAX_CALIBRATION_CHARACTERS} are read; calibrate it anew"
        )
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise AdapterError(
            f"the adapter's calibration cannot be read ({reason}); calibrate it anew"
        ) from None


def _check_pair(
    adapter: AdapterFile, module: str, a: "torch.Tensor", b: "torch.Tensor", shapes: Shapes
) -> None:
    if module not in shapes:
        raise AdapterError(f"adapter {adapter.id}: the base has no linear module {module!r}")
    out, inner = shapes[module]
    if tuple(a.shape) != (adapter.rank, inner) or tuple(b.shape) != (out, adapter.rank):
        raise AdapterError(
            f"adapter {adapter.id}: {module!r} has A {tuple(a.shape)} and B {tuple(b.shape)}, "
            f"wanted {(adapter.rank, inner)} and {(out, adapter.rank)}; train it on this base"
        )
    if not (a.is_floating_point() and b.is_floating_point()):
        raise AdapterError(
            f"adapter {adapter.id}: {module!r} is not made of floating-point numbers"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise AdapterError(f"adapter {adapter.id}: {module!r} has values that are not finite")
