"""A page as one file that opens without a network: the styles of all of them, pictures in it."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

STYLES = Path(__file__).with_name("page.css")


def render(
    template: Path, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] = {}
) -> str:
    """The page that `template` makes of `values`; `styles` in it are those of every page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= filters
    made = environment.from_string(template.read_text(encoding="utf-8"))
    return made.render(styles=Markup(STYLES.read_text(encoding="utf-8").rstrip()), **values)


def embedded(picture: Path) -> str:
    """A PNG file as the source of an `img`."""
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
