"""The errors of the local stack; every message is one sentence that says what to do next.

LocalError
├── PartError        a part could not be fetched, or what came is not what was asked for
├── PortTaken        a port is held by somebody else and another may not be chosen
└── SupervisorError  a process did not come up, or died too often
"""

from schemas.errors import ListuneError


class LocalError(ListuneError, RuntimeError):
    """Anything that keeps the local stack from running."""


class PartError(LocalError):
    """A part could not be brought into the cache."""


class PortTaken(LocalError):
    """A port is in use and the settings ask for exactly this one."""


class SupervisorError(LocalError):
    """A supervised process did not become ready, or died too often to go on."""
