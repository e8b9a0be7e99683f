"""Titles of one product are alike in any script; titles of different products are not."""

import pytest

from schemas.likeness import Titles, text_group


def near(one: str, other: str, category: str = "Mugs") -> bool:
    titles = Titles()
    titles.add("Mugs", one, "one")
    return list(titles.near(category, other)) == ["one"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ceramic mug, 300 ml, red", "Ceramic Mug 300 ml - Blue"),
        ("陶瓷马克杯 300毫升 大容量 红色", "陶瓷马克杯 300毫升 大容量 蓝色"),
        ("陶瓷马克杯 红色", "陶瓷马克杯 蓝色"),
        ("セラミックマグカップ 赤 300ml", "セラミックマグカップ 青 300ml"),
        ("赤いマグカップ", "青いマグカップ"),
        ("Кружка керамическая красная 300 мл", "Кружка керамическая синяя 300 мл"),
        ("HP 61XL cartridge (black)", "ＨＰ ６１ＸＬ Cartridge  BLACK"),
    ],
)
def test_near_duplicates_in_any_script(one: str, other: str) -> None:
    assert near(one, other)
    assert near(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ceramic mug, 300 ml, red", "Steel travel mug with lid"),
        ("陶瓷马克杯 红色", "不锈钢保温杯 带盖"),
        ("陶瓷马克杯 红色", "陶瓷茶杯 红色"),
        ("赤いマグカップ", "マグカップ用ふた"),
        ("", ""),
        ("!!!", "???"),
    ],
)
def test_others_are_not(one: str, other: str) -> None:
    assert not near(one, other)


def test_a_title_is_compared_within_its_category_only() -> None:
    assert not near("Ceramic mug, 300 ml", "Ceramic mug, 300 ml", category="Bowls")


@pytest.mark.parametrize(
    "title", ["red lamp, 30 CM", "  Red LAMP (30cm)!", "Ｒｅｄ　ｌａｍｐ　３０cm", "Red_lamp 30-cm"]
)
def test_texts_that_differ_in_case_width_space_and_punctuation_are_one_group(title: str) -> None:
    assert text_group("Lamps", title, "one") == text_group("Lamps", "Red lamp 30 cm", "two")


def test_another_text_or_category_is_another_group_and_no_text_is_none() -> None:
    groups = {
        text_group("Lamps", "Red lamp", ""),
        text_group("Lamps", "Rose lamp", ""),
        text_group("Mugs", "Red lamp", ""),
        text_group("Lamps", "", "of description alone"),
        text_group("Lamps", "!?", "of another description"),
        text_group("Lamps", "लैंप", ""),
        text_group("Lamps", "लप", ""),
    }
    assert len(groups) == 7
    assert all(group is not None and 0 <= group < 2**63 for group in groups)
    assert text_group("Lamps", " - ", "…") is None
