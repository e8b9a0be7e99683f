"""An auditor's verdicts: a JSON Lines file for each auditor and audit.

A verdict is appended and on the disk before the next value is shown; whoever is cut off goes on
where he was. A later line on the same value replaces the earlier one, and one without a verdict
takes it back, so nothing is written over. A last line without its end is what a crash leaves: it
was never confirmed and is dropped. Any other line that cannot be read is refused by its number.
"""

import fcntl
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.events import LATEST_MS, now_ms
from serving.process.files import write_file
from streams.audit.errors import AuditError

Said = Literal["right", "wrong", "cannot_tell"]
SAID: tuple[Said, ...] = ("right", "wrong", "cannot_tell")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_PREFIX, _SUFFIX = "verdicts-", ".jsonl"

Key = tuple[str, str]
"""Prediction and attribute, which name a value."""


class Verdict(BaseModel):
    """What an auditor says of a suggested value; `verdict` None takes back what was said before.

    `category_schema_hash`: of the schema in force when it was judged, empty where there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auditor: str
    prediction_id: str
    attribute: str
    value: list[str]
    category_schema_hash: str
    verdict: Said | None
    right_value: list[str] | None = None
    judged_ms: int = Field(default_factory=now_ms, ge=0, le=LATEST_MS)

    @property
    def key(self) -> Key:
        """What names the value."""
        return self.prediction_id, self.attribute


def check_name(name: str, what: str) -> str:
    """`name`, which becomes part of a file's name.

    Raises:
        AuditError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise AuditError(
            f"{name!r} cannot name an {what}; take up to 40 letters, digits, '.', '_' and '-', "
            "the first a letter or digit"
        )
    return name


def verdicts_path(folder: Path, auditor: str) -> Path:
    """Where an auditor's verdicts on the audit in `folder` are."""
    return folder / f"{_PREFIX}{check_name(auditor, 'auditor')}{_SUFFIX}"


def auditors(folder: Path) -> list[str]:
    """Who has judged in the audit in `folder`, in the order of the alphabet."""
    files = folder.glob(f"{_PREFIX}*{_SUFFIX}")
    return sorted(f.name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for f in files)


def read_verdicts(path: Path) -> dict[Key, Verdict]:
    """What stands of the verdicts in a file, by value; of none where there is no file.

    Raises:
        AuditError: a line that is no verdict; names its number.
    """
    lines = _whole_lines(path)
    standing: dict[Key, Verdict] = {}
    for number, line in enumerate(lines, start=1):
        try:
            said = Verdict.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise AuditError(
                f"{path}, line {number} is no verdict ({where}: {fault['msg']}); "
                "mend the line or delete it"
            ) from None
        standing.pop(said.key, None)
        if said.verdict is not None:
            standing[said.key] = said
    return standing


class VerdictFile:
    """An auditor's file, open to be added to by one process; a context manager.

    `standing`: what stands, by value, the last said at the end.

    Raises:
        AuditError: as `read_verdicts`, or another process has it open.
    """

    def __init__(self, folder: Path, auditor: str) -> None:
        self.path = verdicts_path(folder, auditor)
        self.standing = read_verdicts(self.path)
        self._file = _locked(self.path)
        os.ftruncate(self._file, sum(len(line) + 1 for line in _whole_lines(self.path)))

    def __enter__(self) -> "VerdictFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, said: Verdict) -> None:
        """Writes a verdict; it is on the disk when this returns."""
        os.write(self._file, said.model_dump_json().encode() + b"\n")
        os.fsync(self._file)
        self.standing.pop(said.key, None)
        if said.verdict is not None:
            self.standing[said.key] = said


def keep_verdicts(path: Path, kept: Collection[Key]) -> None:
    """Takes what was said of any other values out of a file, for good.

    Raises:
        AuditError: as `read_verdicts`, or an auditor has the file open.
    """
    lines = _whole_lines(path)
    if set(read_verdicts(path)) <= set(kept) and all(_key(line) in kept for line in lines):
        return
    held = _locked(path)
    try:
        left = (line for line in _whole_lines(path) if _key(line) in kept)
        write_file(path, b"".join(line + b"\n" for line in left))
    finally:
        os.close(held)


def _key(line: bytes) -> Key:
    return Verdict.model_validate_json(line).key


def _locked(path: Path) -> int:
    """The file, open and ours until it is closed."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise AuditError(
            f"{path} is open in another terminal; quit there with q, then try again"
        ) from None
    return file


def _whole_lines(path: Path) -> list[bytes]:
    """The lines that have their end."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
