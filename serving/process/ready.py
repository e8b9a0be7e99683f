"""How a process tells the one that started it that it can work: it makes a file.

Whoever starts a process names the file in the environment; where none is named nobody waits.
"""

import logging
import os
from pathlib import Path

from serving.process.files import write_file

READY_FILE = "LISTUNE_READY_FILE"
"""The environment variable that names the file."""

logger = logging.getLogger(__name__)


def clear_ready() -> None:
    """Forget that this process, or an earlier one of its name, was ready."""
    if path := os.environ.get(READY_FILE):
        Path(path).unlink(missing_ok=True)


def tell_ready() -> None:
    """Make the file, which holds this process's id."""
    logger.info("ready")
    if path := os.environ.get(READY_FILE):
        write_file(Path(path), f"{os.getpid()}\n".encode())
