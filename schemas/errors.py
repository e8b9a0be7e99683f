"""What can be wrong with a schema or an event.

    ListuneError
    ├── SchemaError    a category schema that cannot be used
    └── EventError     bytes on a topic that are no event of ours

Every message says where it is wrong and what to do next.
"""


class ListuneError(Exception):
    """The root of the errors that a person should read as one sentence, without a traceback."""


class SchemaError(ListuneError):
    """A category schema that cannot be used; names file, category, attribute and the fault."""


class EventError(ListuneError):
    """Bytes that are no event of ours; `reason` is a short machine-readable word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["EventError"], tuple[str, str]]:
        """Both arguments, so that it can be handed to another process."""
        return EventError, (self.reason, str(self))
