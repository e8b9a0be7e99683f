"""What sellers write is mended as files are; what stays illegal is counted and told."""

from prometheus_client import REGISTRY

from tests.streams.world import World, prediction, request, review

WRITTEN = {"Colour": ["Red"], "Height": ["30 CM"], "Dimmable": ["Yes"], "Style": ["loft"]}
REFUSED = "SELECT category, attribute, reason, count, examples, sentence FROM refused_values"


def refused_total(reason: str) -> float:
    return REGISTRY.get_sample_value("listune_refused_values_total", {"reason": reason}) or 0.0


def test_a_review_is_mended_as_files_are(world: World) -> None:
    asked = request("a")
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted=WRITTEN))
    assert world.rows("SELECT c_catalog, deficit FROM samples") == [(1.0, 1.0)]
    assert world.rows(REFUSED) == []


def test_acceptance_compares_as_everything_else_does(world: World) -> None:
    asked = request("a")
    answer = prediction(asked, filled=4)
    shown = {"Colour": ["red"], "Height": ["30 cm"], "Style": ["loft"], "Dimmable": ["yes"]}
    written = {"Colour": ["RED"], "Height": ["300 mm"], "Style": ["N/A"], "Dimmable": ["no"]}
    world.feed(asked, answer, review(answer, shown=shown, submitted=written))
    assert world.rows("SELECT shown, accepted FROM acceptance_by_day") == [(4, 2)]


def test_what_stays_illegal_is_counted_by_attribute_and_reason_with_examples(
    world: World,
) -> None:
    before = refused_total("range")
    for name, height in (("a", "5-10 cm"), ("b", "10–20 cm"), ("c", "30 cm")):
        asked = request(name)
        answer = prediction(asked)
        submitted = {"Height": [height], "Style": ["unknown"], "Engine": ["V8"]}
        world.feed(asked, answer, review(answer, submitted=submitted))
    told = world.rows(REFUSED)
    assert [row[:5] for row in told] == [
        ("Lamps", "Engine", "unknown_attribute", 3, ["V8"]),
        ("Lamps", "Style", "placeholder", 3, ["unknown"]),
        ("Lamps", "Height", "range", 2, ["10–20 cm", "5-10 cm"]),
    ]
    assert "make the attribute a text, or two attributes" in told[2][5]
    assert refused_total("range") - before == 2


def test_no_text_of_a_seller_breaks_the_view(world: World) -> None:
    asked = request("a")
    answer = prediction(asked)
    odd = ["", " ", "\0", "\u202e\U0001f9a6", "\ufffe", "\\u0000", '"', "x" * 5000, "a\0b"]
    for number, text in enumerate(odd):
        submitted = {text: [text], "Colour": [text], "Height": [text, text]}
        world.feed(review(answer, review_id=str(number), submitted=submitted))
    [(count,)] = world.rows("SELECT sum(count)::INTEGER FROM refused_values")
    assert count > len(odd)
    assert all(len(e) <= 81 for (e,) in world.rows("SELECT unnest(examples) FROM refused_values"))
