"""What can be wrong with an audit; one sentence that says what to do."""

from schemas.errors import ListuneError


class AuditError(ListuneError):
    """A sample that cannot be drawn, a file that cannot be read, or too few verdicts."""
