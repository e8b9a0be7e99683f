"""What can go wrong in a round.

    ListuneError
    └── TrainingError      a round that cannot be completed
        ├── DataError      a manifest or held-out file that cannot be used
        ├── RegistryError  an adapter that cannot be kept or found
        └── EndpointError  an endpoint to compare with that does not answer

The worker answers each with a `failed` event that carries the message as its reason, so every
message is one sentence that says what to do next.
"""

from schemas.errors import ListuneError


class TrainingError(ListuneError):
    """A round that cannot be completed."""


class DataError(TrainingError):
    """A manifest or held-out file that cannot be used; names the file and the place in it."""


class RegistryError(TrainingError):
    """An adapter that cannot be kept or found."""


class EndpointError(TrainingError):
    """An endpoint to compare with that refuses or does not answer."""
