"""Where the commands print: tables as wide as the terminal, and wide enough when piped."""

from rich.console import Console

PIPED_WIDTH = 200

console = Console()
if not console.is_terminal:
    # Into a file or a pipe there is no edge to fold at; half-shown cells would be of no use.
    console = Console(width=PIPED_WIDTH)


def cell(value: object) -> str:
    """A value as it stands in a table."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
