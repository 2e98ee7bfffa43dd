import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench.data
from bench.data import Rows
from bench.data.synthetic import STARS, Sizes, generate
from bench.errors import RequestError

DEFAULT = Sizes(num_users=6040, num_items=3706, num_ratings=1_000_209, seed=0)
DIGEST = "ca8760b1473ad0725fc311cb9fc92d637ea878a73aeb91186cd3267d85df052b"


def digest(rows: Rows) -> str:
    found = hashlib.sha256()
    for column in (rows.ids["user"], rows.ids["item"], rows.labels, rows.timestamps):
        found.update(np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data)
    return found.hexdigest()


@pytest.fixture(scope="module")
def rows() -> Rows:
    return generate(DEFAULT)


def test_default_bytes_are_pinned(rows):
    assert digest(rows) == DIGEST


def test_another_seed_draws_everything_anew():
    one, other = (
        generate(Sizes(num_users=200, num_items=100, num_ratings=4000, seed=seed)) for seed in (1, 2)
    )
    assert (one.timestamps != other.timestamps).mean() > 0.9 and (one.labels != other.labels).mean() > 0.1
    for field, size in (("user", 200), ("item", 100)):  # who has many rows, not only which
        counts = [np.bincount(rows.ids[field], minlength=size) for rows in (one, other)]
        assert abs(np.corrcoef(counts)[0, 1]) < 0.5, field


def test_the_same_bytes_without_the_processors_special_features():
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    disabled = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    code = (
        "import numpy as np\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as on\n"
        f"assert not any(on[name] for name in {disabled!r}), on\n"
        "import test_synthetic as t\n"
        "print(t.digest(t.generate(t.DEFAULT)))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(disabled), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False, timeout=120
    )
    assert done.stdout.strip() == DIGEST, done.stderr


def test_the_shape_is_movielens_1m(rows):
    users, items, stars = rows.ids["user"], rows.ids["item"], rows.labels
    assert len(np.unique(users.astype(np.int64) * 3706 + items)) == len(rows) == 1_000_209
    per_user, per_item = np.bincount(users, minlength=6040), np.bincount(items, minlength=3706)
    # minimum, quartiles, maximum of MovieLens 1M
    np.testing.assert_allclose(
        np.percentile(per_user, [0, 25, 50, 75, 100]), [20, 44, 96, 208, 2314], rtol=0.1
    )
    np.testing.assert_allclose(
        np.percentile(per_item, [0, 25, 50, 75, 100]), [1, 33, 124, 350, 3428], rtol=0.15
    )
    assert np.bincount(stars.astype(int), minlength=6)[1:].tolist() == list(STARS)
    assert abs(float(stars.mean(dtype=np.float64)) - 3.5816) < 1e-4
    assert abs(float(stars.std(dtype=np.float64)) - 1.1171) < 1e-4
    assert abs(np.abs(stars - stars.mean()).mean() - 0.934) < 1e-3  # what a constant errs by


def test_effects_are_those_of_movielens_1m(rows):
    users, items = rows.ids["user"], rows.ids["item"]
    stars = rows.labels.astype(float)
    per_user, per_item = np.bincount(users), np.bincount(items)
    user_effect, item_effect = np.zeros(6040), np.zeros(3706)
    for _ in range(6):  # the additive fit, by turns
        item_effect = np.bincount(items, stars - stars.mean() - user_effect[users]) / per_item
        user_effect = np.bincount(users, stars - stars.mean() - item_effect[items]) / per_user
    residual = stars - stars.mean() - user_effect[users] - item_effect[items]
    known = per_item >= 20
    # the same fit on MovieLens 1M gives 0.381, 0.549, 0.898, 0.709 and 0.324
    assert abs(user_effect[users].std() - 0.38) < 0.03
    assert abs(item_effect[items].std() - 0.55) < 0.03
    assert abs(residual.std() - 0.90) < 0.02
    assert abs(np.abs(residual).mean() - 0.71) < 0.01
    assert abs(np.corrcoef(item_effect[known], np.log(per_item[known]))[0, 1] - 0.32) < 0.05


def test_the_residual_has_a_low_rank_part(rows):
    """Users of many ratings agree with themselves: what two halves of the items say of users correlates."""
    users, items, stars = rows.ids["user"], rows.ids["item"], rows.labels
    grid = np.zeros((6040, 3706), np.float32)
    user_mean = np.bincount(users, stars) / np.bincount(users)
    item_mean = np.bincount(items, stars) / np.bincount(items)
    grid[users, items] = stars - user_mean[users] - item_mean[items] + stars.mean()
    popular = np.argsort(-np.bincount(items))[:400]
    active = np.argsort(-np.bincount(users))[:800]
    spectrum = np.linalg.svd(grid[np.ix_(active, popular)], compute_uv=False)
    assert spectrum[7] > 1.2 * spectrum[8]  # eight planted factors, then noise
    assert spectrum[8] < 1.1 * spectrum[9]


def test_timestamps_let_time_split(rows):
    times, users = rows.timestamps, rows.ids["user"]
    span = int(times.max() - times.min())
    assert times.dtype == np.int64
    assert 900 * 86_400 < span <= 1000 * 86_400
    late = times > np.quantile(times, 0.85)
    known = np.isin(users[late], users[~late])
    assert 0.5 < known.mean() < 0.9  # most late rows are of users seen before, not all


def test_another_seed_gives_other_rows_of_the_same_shape():
    one, two, again = (generate(Sizes(60, 40, 500, seed)) for seed in (1, 2, 1))
    assert digest(one) == digest(again) != digest(two)
    assert np.bincount(one.labels.astype(int)).tolist() == np.bincount(two.labels.astype(int)).tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_every_id_and_only_distinct_pairs_at_any_size(users, items, fill, seed):
    least, most = max(users, items), users * items
    ratings = least + round(fill * (most - least))
    rows = generate(Sizes(users, items, ratings, seed))
    pairs = rows.ids["user"].astype(int) * items + rows.ids["item"]
    assert len(rows) == ratings == len(set(pairs.tolist()))
    assert set(rows.ids["user"].tolist()) == set(range(users))
    assert set(rows.ids["item"].tolist()) == set(range(items))
    assert pairs.tolist() == sorted(pairs.tolist())
    assert set(rows.labels.tolist()) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "users, ratings, seed", [(12, 1001, 21), (12, 1002, 56), (20, 1001, 45), (40, 1001, 27)]
)
def test_a_popular_item_may_be_its_only_candidates_already(users, ratings, seed):
    """Drawing by popularity alone would never end here."""
    rows = generate(Sizes(users, 1000, ratings, seed))
    assert len({*zip(rows.ids["user"].tolist(), rows.ids["item"].tolist(), strict=True)}) == ratings
    assert len(np.unique(rows.ids["item"])) == 1000


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"num_ratings": 13, "num_users": 4, "num_items": 3}, ("num_ratings=13", "12 distinct pairs")),
        ({"num_ratings": 6039}, ("num_ratings=6039", "6040")),
        ({"num_items": 0}, ("num_items=0", "at least 1")),
        ({"num_users": 2.5}, ("num_users=2.5", "whole number")),
        ({"num_users": 2**31}, ("num_users=2147483648", "at most")),
        ({"num_ratings": True}, ("num_ratings=true",)),
        ({"seed": -1}, ("dataset.seed=-1", "at least 0")),
    ],
)
def test_impossible_sizes_are_refused(dataset, tmp_path, changes, says):
    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("synthetic", changes), tmp_path)
    assert all(words in str(caught.value) for words in says), caught.value
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.slow
def test_time_and_memory_grow_with_the_rows():
    code = (
        "import time\n"
        "from bench.data.synthetic import Sizes, generate\n"
        "from bench.measure.memory import peak_rss_bytes\n"
        "start = time.process_time()\n"
        "generate(Sizes({}, {}, {}, 0))\n"
        "print(time.process_time() - start, peak_rss_bytes())\n"
    )

    def cost(*sizes: int) -> tuple[float, float]:
        done = subprocess.run(
            [sys.executable, "-c", code.format(*sizes)],
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
        )
        seconds, peak = map(float, done.stdout.split())
        return seconds, peak

    small, large = cost(200_000, 50_000, 1_000_000), cost(1_600_000, 400_000, 8_000_000)
    assert large[0] < 8 * 2.5 * small[0]
    assert large[1] < 120 * 8_000_000  # bytes a row
