"""What a base model is shown before a product."""

from serving.examples import schema_example
from serving.prompt import example_text
from serving.settings import ServingSettings
from tests.builders import ATTRIBUTES


def test_the_categorys_attributes_are_shown_with_their_allowed_values() -> None:
    class Builder:
        settings = ServingSettings()

    text = example_text(schema_example("Mugs", ATTRIBUTES), Builder())  # type: ignore[arg-type]
    assert "Category: Mugs" in text
    assert "colour (red, blue, green); material (steel, glass, wood, plastic)" in text
    assert "uses (text, several with |)" in text
