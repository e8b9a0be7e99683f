"""The hash by which adapters name the base model that they belong to."""

import hashlib
import json
import logging
from pathlib import Path

from serving.errors import AdapterError
from serving.process.files import write_file

logger = logging.getLogger(__name__)


def base_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a base model's folder, in the order of their names.

    Kept in a side file with sizes and times, so that a start does not read the weights twice.

    Raises:
        AdapterError: the folder has no safetensors file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise AdapterError(f"{folder.name} has no safetensors file; name a folder of a base model")
    stats = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    side = folder / ".listune-base-hash.json"
    try:
        kept = json.loads(side.read_text())
        if kept["files"] == stats:
            return str(kept["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    try:
        write_file(side, json.dumps({"files": stats, "hash": digest.hexdigest()}).encode())
    except OSError:
        logger.info("base folder is read-only: its hash will be computed at every start")
    return digest.hexdigest()
