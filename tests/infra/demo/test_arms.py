"""The demo's A/B run: who comes, in which experiment, and what the report says of it."""

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.catalogs.catalog import Product
from infra.demo import arms, play
from infra.demo.arms import EXPERIMENT, dealt, with_experiment, without_experiment
from infra.demo.report import print_report, write_report
from infra.demo.rows import RunReport
from infra.settings import Settings, load_settings
from infra.stage import Stage, read_stage
from schemas.errors import ListuneError
from schemas.events import ListingPrediction
from streams.trials import ArmSettings, ExperimentSettings
from tests.infra.arms.test_output import a_report as an_arms_report
from tests.infra.demo.test_report import a_report
from tests.streams.world import SCHEMAS, prediction, request

OWN = ExperimentSettings(
    name="own",
    arms=(
        ArmSettings(name="a", share=0.5, answers="champion"),
        ArmSettings(name="b", share=0.5, answers="base"),
    ),
)


def products(count: int) -> list[Product]:
    return [Product(f"p{n}", f"category {n % 3}", f"thing {n}", "", {}) for n in range(count)]


def test_a_seller_has_so_many_listings_of_one_category() -> None:
    coming = dealt(products(40), sellers=5, listings=3, seed=7)
    assert Counter(seller for seller, _ in coming) == {f"seller-{n}": 3 for n in range(1, 6)}
    sells = {(seller, product.category) for seller, product in coming}
    assert len(sells) == 5
    assert len({product.product_id for _, product in coming}) == 15


def test_all_categories_come_mixed_and_the_same_seed_deals_the_same() -> None:
    coming = dealt(products(90), sellers=12, listings=2, seed=7)
    assert len({product.category for _, product in coming}) == 3
    assert coming == dealt(products(90), sellers=12, listings=2, seed=7)
    assert coming != dealt(products(90), sellers=12, listings=2, seed=8)
    # The listings of a seller do not stand together.
    assert [seller for seller, _ in coming] != sorted(seller for seller, _ in coming)


def test_where_products_are_few_only_whole_sellers_come() -> None:
    assert len(dealt(products(10), sellers=5, listings=3, seed=7)) == 9
    assert dealt(products(3), sellers=5, listings=2, seed=7) == []


def test_the_catalog_has_enough_products_for_the_sellers_in_arms() -> None:
    settings = load_settings().changed(demo={"arm_sellers": 50, "arm_listings": 2, "rounds": 1})
    before = read_stage(settings.changed(demo={"arm_sellers": 0}), Console(quiet=True))
    stage = read_stage(settings, Console(quiet=True))
    assert len(stage.products) - len(before.products) >= 150


def test_nobody_is_in_an_arm_during_the_rounds_and_the_chosen_experiment_follows() -> None:
    settings = Settings().changed(streams={"experiment": OWN})
    assert without_experiment(settings).streams.experiment.name == ""
    assert with_experiment(Settings(), OWN).streams.experiment == OWN
    made = with_experiment(Settings(), ExperimentSettings()).streams
    assert made.experiment == EXPERIMENT
    assert made.backfill_factor == 0


def test_the_demos_own_experiment_has_champion_base_with_example_and_blind() -> None:
    assert [arm.answers for arm in EXPERIMENT.arms] == ["champion", "example", "blind"]
    assert sum(arm.share for arm in EXPERIMENT.arms) == pytest.approx(1)


def test_it_waits_until_the_experiment_runs_though_nobody_answers_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [ListuneError("starting again"), [(0,)], [(1,)]]

    def query(*_: object) -> tuple[list[str], Any]:
        answer = answers.pop(0)
        if isinstance(answer, ListuneError):
            raise answer
        return [], answer

    monkeypatch.setattr(arms, "query", query)
    monkeypatch.setattr(arms, "LOOK_S", 0.0)
    arms.wait_until_runs(with_experiment(Settings(), OWN), lambda: None)
    assert answers == []


def test_an_experiment_that_does_not_begin_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arms, "query", lambda *_: ([], [(0,)]))
    monkeypatch.setattr(arms, "PATIENCE_S", 0.01)
    monkeypatch.setattr(arms, "LOOK_S", 0.001)
    with pytest.raises(ListuneError, match="'own' does not begin; see the curate worker's log"):
        arms.wait_until_runs(with_experiment(Settings(), OWN), lambda: None)


class Listings:
    """A client whose every listing is answered and reviewed; every other seller is in an arm."""

    def __init__(self, *_: object) -> None:
        self.asked: list[dict[str, Any]] = []
        self.reviewed: list[ListingPrediction] = []

    def __enter__(self) -> "Listings":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def predict(self, **listing: Any) -> ListingPrediction:
        self.asked.append(listing)
        return prediction(
            request(listing["listing_id"], seller_id=listing["seller_id"]),
            arms={"demo": "blind"} if int(listing["seller_id"][7:]) % 2 else {},
        )

    def review(self, answer: ListingPrediction, **_: object) -> None:
        self.reviewed.append(answer)


def test_sellers_come_with_their_listings_and_the_report_waits_for_those_in_arms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, waited = Listings(), []
    monkeypatch.setattr(play, "ListuneClient", lambda *_: client)
    monkeypatch.setattr(play, "wait_until_runs", lambda *_: None)
    monkeypatch.setattr(play, "wait_until_counted", lambda _, count, __: waited.append(count))
    made = an_arms_report(sellers=0)
    monkeypatch.setattr(play, "arms_report", lambda *_: made)
    settings = with_experiment(Settings(), ExperimentSettings())
    settings = settings.changed(demo={"arm_sellers": 4, "arm_listings": 2})
    lamps = [Product(f"p{n}", "Lamps", f"lamp {n}", "", {}) for n in range(20)]
    played = play.Play(settings, Stage(SCHEMAS, lamps), Console(quiet=True), lambda: None)
    played.arms()
    asked = Counter(one["seller_id"] for one in client.asked)
    assert asked == {f"seller-{n}": 2 for n in range(1, 5)}
    assert len(client.reviewed) == 8
    assert waited == [4]
    assert played.arms_report is made
    # Neither judged side by side nor counted among the rounds' listings.
    assert (played.submitted, played.served) == ({}, {})


def test_without_a_product_left_there_is_no_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "wait_until_runs", lambda *_: None)
    settings = Settings().changed(demo={"arm_sellers": 4})
    played = play.Play(settings, Stage(SCHEMAS, []), Console(quiet=True), lambda: None)
    with pytest.raises(ListuneError, match=r"no product is left .* give a larger catalog"):
        played.arms()


@pytest.mark.slow
def test_the_report_ends_with_the_arms_and_table_2(tmp_path: Path) -> None:
    report = a_report()
    report.arms = an_arms_report(sellers=120)
    page = write_report(report, tmp_path)[-1].read_text()
    assert "Table 2: titles" in page
    assert "generated and<br>accepted, %" in page
    assert page.count("data:image/png") == 4
    assert (tmp_path / "arms" / "table2.md").is_file()
    assert RunReport.model_validate_json((tmp_path / "report.json").read_text()) == report
    console = Console(width=80, record=True, file=StringIO())
    print_report(report, console)
    text = console.export_text()
    assert "Table 2: titles" in text
    assert max(map(len, text.splitlines())) <= 80
