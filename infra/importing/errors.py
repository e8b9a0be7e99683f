"""What stops an import; what is wrong with a single row does not."""

from schemas.errors import ListuneError


class ImportFault(ListuneError):
    """A file or a map that cannot be used; names it and says what to do."""
