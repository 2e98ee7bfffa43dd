"""What names of columns say."""

from __future__ import annotations

import pytest

from bench.proposal import names


@pytest.mark.parametrize(("name", "words"), [
    ("userId", ["user", "id"]), ("user_id", ["user", "id"]), ("movieid", ["movie", "id"]), ("USER ID", ["user", "id"]),
    ("customers", ["customer"]), ("Bücher titel", ["bucher", "titel"]), ("orderTS", ["order", "ts"]),
    ("C14", ["c", "14"]),
])  # fmt: skip
def test_words(name: str, words: list[str]) -> None:
    assert names.words(name) == words


@pytest.mark.parametrize(("name", "user", "item"), [
    ("user", 2, 0), ("customer_no", 2, 0), ("user_name", 1, 0), ("sku", 0, 2), ("product_category", 0, 1),
    ("category", 0, 0), ("movieId", 0, 2),
])  # fmt: skip
def test_roles(name: str, user: int, item: int) -> None:
    assert (names.role(name, names.USERS), names.role(name, names.ITEMS)) == (user, item)


@pytest.mark.parametrize(("better", "worse"), [
    ("label", "rating"), ("rating", "rating_of_store"), ("is_click", "num_clicks"), ("stars", "avg_rating"),
    ("user_rating", "rating_date"), ("score", "score_id"),
])  # fmt: skip
def test_what_is_predicted(better: str, worse: str) -> None:
    assert names.target(better) > names.target(worse)


def test_ids() -> None:
    assert [name for name in ("order_id", "zip code", "user", "price", "store") if names.is_id(name)] == [
        "order_id", "zip code", "user",
    ]  # fmt: skip
