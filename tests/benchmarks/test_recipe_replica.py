"""The published recipe, as ``benchmarks`` rebuilds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe() -> Any:
    from benchmarks import recipe

    return recipe


def ratings(recipe: Any, users: int, movies: int, rows: int) -> Any:
    """Ratings in which every user and every movie appears."""
    rng = np.random.default_rng(0)
    user, movie = np.arange(rows) % users, np.arange(rows) % movies
    stars = rng.integers(1, 6, rows).astype(np.float64)
    return recipe.Ratings(rng.permutation(user), rng.permutation(movie), stars, recipe.published_split(rows))


@pytest.mark.parametrize(("experiment", "parameters"), [(1, 623_744), (2, 117_968)])
def test_number_of_parameters(recipe: Any, experiment: int, parameters: int) -> None:
    made = recipe.build(experiment, ratings(recipe, 6040, 3706, 20_000))
    inputs = next(iter(made.rows("train", shuffle=False)))[0]
    made.model(inputs)  # builds what is built when first called
    assert made.model.count_params() == parameters


def test_trains_and_is_timed(recipe: Any) -> None:
    made = recipe.build(1, ratings(recipe, 60, 40, 3000))
    errors = made.run(epochs=2)
    assert len(errors) == 2 and all(0 < error < 4 for error in errors)
    times = made.measure(steps=5, warm_up=3, repeats=2)
    assert len(times) == 2 and min(times) > 0


def test_what_cannot_be_asked_for(recipe: Any) -> None:
    few = ratings(recipe, 60, 40, 600)
    with pytest.raises(ValueError, match="experiment=3"):
        recipe.build(3, few)
    with pytest.raises(ValueError, match="steps"):
        recipe.build(1, few).measure(steps=100)


def test_split_is_the_published_share(recipe: Any) -> None:
    assert recipe.published_split(1_000_209).mean() == pytest.approx(0.85, abs=0.001)
