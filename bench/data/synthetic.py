"""Ratings in the shape of MovieLens 1M from a planted model: the same bytes on every processor.

Who rated what: users and items have long-tailed numbers of ratings, and every pair is distinct. What they
gave: a latent score

    score(u, i) = user effect + item effect + FACTOR_WEIGHT * (p_u . q_i) / sqrt(NUM_FACTORS) + noise

cut into stars 1 to 5 where MovieLens 1M's shares of each star fall. Users' and items' effects and the
residual have the standard deviations that an additive fit finds in MovieLens 1M.

Only raw integers of PCG64 and + - * / and square roots in a fixed order are used, because BLAS, SIMD
exponentials, pairwise sums and NumPy's distributions differ between processors or versions in the last bit.
Normal numbers are sums of four uniform 16-bit integers; tails are quotients of square roots. Time and memory
grow linearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from bench.data.common import Common, settings_of
from bench.data.interactions import Rows, Source
from bench.errors import RequestError
from bench.settings import Range

VERSION = 1  # of the bytes made: a change of any of them needs a new number, or caches would serve old ones
NUM_FACTORS = 8
USER_SD, ITEM_SD, POPULARITY_SLOPE = 0.4, 0.54, 0.76
FACTOR_WEIGHT, NOISE_SD = 0.46, 0.725
STARS = (56_174, 107_557, 261_197, 348_971, 226_310)  # MovieLens 1M's counts of 1, 2, 3, 4 and 5
LEAST_SHARE = 0.121  # the least active user against the mean one, as in MovieLens 1M
DENSE_SHARE = 8  # users with more than one in so many of the items are drawn item by item
ROUNDS = 64  # of drawing again, before the rest is drawn item by item too
FIRST_SECOND, DAYS = 956_707_200, 1_000  # timestamps begin on 2000-04-26 and span so many days
CHUNK = 1 << 18  # rows at once, so that temporaries stay in the processor's cache

Floats = npt.NDArray[np.float64]
Size = Annotated[int, Range(low=1, high=2**31 - 1)]  # ids are int32, draws below a limit need it under 2**32

Ints = npt.NDArray[np.int64]


class _Stream:
    """Random integers of one purpose, so that the numbers of one do not depend on how many another took."""

    def __init__(self, seed: int, purpose: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, purpose]))

    def raw(self, n: int) -> npt.NDArray[np.uint64]:
        """Uniform 64-bit integers, shape (n,)."""
        return self._bits.random_raw(n)

    def uniform(self, n: int) -> Floats:
        """Uniform on (0, 1) with 52 bits, never 0 or 1, shape (n,)."""
        return ((self.raw(n) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def below(self, n: int, limit: int) -> Ints:
        """Uniform integers 0 to limit - 1 (limit below 2**32), shape (n,)."""
        return (((self.raw(n) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)

    def normal(self, n: int) -> Floats:
        """Nearly standard normal: the sum of four 16-bit integers, centred and scaled, shape (n,)."""
        lanes = self.raw(n).view(np.uint16).reshape(n, 4)
        total = lanes[:, 0].astype(np.int64)
        for lane in range(1, 4):
            total += lanes[:, lane]
        return (total - 2 * 65_535).astype(np.float64) / math.sqrt((2.0**32 - 1) / 3)

    def permutation(self, n: int) -> Ints:
        """The integers 0 to n - 1 in random order."""
        return np.argsort(self.raw(n), kind="stable")


@dataclass(frozen=True)
class Sizes:
    """What the generator is asked for; ``seed`` decides everything random."""

    num_users: int
    num_items: int
    num_ratings: int
    seed: int


@dataclass(frozen=True)
class Settings(Common):
    """Settings of the generated data set.

    Attributes:
        num_users: users, each with a rating or more.
        num_items: items, each with a rating or more.
        num_ratings: distinct pairs of both.
        seed: decides everything random in them; the split has a seed of its own.
    """

    num_users: Size
    num_items: Size
    num_ratings: Size
    seed: Annotated[int, Range(low=0, high=2**32 - 1)]

    def __post_init__(self) -> None:
        """Refuse sizes of which no set of distinct pairs exists."""
        users, items, ratings = self.num_users, self.num_items, self.num_ratings
        if ratings > users * items:
            raise RequestError(
                f"dataset.num_ratings={ratings}: {users} users and {items} items have only {users * items} "
                "distinct pairs; give no more"
            )
        if ratings < max(users, items):
            raise RequestError(
                f"dataset.num_ratings={ratings}: every user and item needs a rating; give "
                f"{max(users, items)} or more, or fewer dataset.num_users and dataset.num_items"
            )

    def source(self, data_dir: Path) -> Source:
        """The generator, which needs no file."""
        sizes = Sizes(self.num_users, self.num_items, self.num_ratings, self.seed)
        return Source({"kind": "synthetic", "version": VERSION, **asdict(sizes)}, lambda: generate(sizes))


def settings(dataset: Mapping[str, Any]) -> Settings:
    """The settings below ``dataset``, checked."""
    return settings_of(Settings, dataset)


def generate(sizes: Sizes) -> Rows:
    """All rows, sorted by user, then item.

    Returns:
        Ids ``user`` and ``item`` int32 (rows,), labels float32 (rows,) of 1 to 5, timestamps int64 (rows,) in
        seconds. Every user and every item has at least one row, every pair at most one.
    """
    user_counts = _shuffled(
        _degrees(_user_tail(sizes.num_users), sizes.num_ratings, sizes.num_items), sizes, 0
    )
    users, items = _pairs(sizes, user_counts)
    item_counts = np.bincount(items, minlength=sizes.num_items)
    return Rows(
        origin="dataset=synthetic",
        ids={"user": users, "item": items},
        labels=_stars(sizes, users, items, item_counts),
        timestamps=_timestamps(sizes, users),
    )


def _quantiles(n: int) -> Floats:
    return (np.arange(n, dtype=np.float64) + 0.5) / n


def _user_tail(n: int) -> Floats:
    """Relative activity of n users, ascending: u**1.25 / sqrt(1 - u + c), fitted to MovieLens 1M."""
    u = _quantiles(n)
    return u * np.sqrt(np.sqrt(u)) / np.sqrt(1.0 - u + 0.0032)


def _item_tail(n: int) -> Floats:
    """Relative popularity of n items, ascending: u**2 / sqrt(1 - u + c), fitted to MovieLens 1M."""
    u = _quantiles(n)
    return u * u / np.sqrt(1.0 - u + 0.001)


def _shuffled(values: Ints, sizes: Sizes, purpose: int) -> Ints:
    return values[_Stream(sizes.seed, purpose).permutation(len(values))]


def _degrees(tail: Floats, total: int, most: int, least: int = 1) -> Ints:
    """Integers from ``least`` to ``most`` that add up to ``total`` and follow ``tail`` above a floor."""
    n = len(tail)
    floor = max(least, int(total / n * LEAST_SHARE)) if least else 0

    def at(scale: float) -> Ints:
        # clipped while a float: a product may be larger than any integer
        out: Ints = np.minimum(tail * scale, float(most - floor)).astype(np.int64)
        return out + floor

    low, high = 0.0, 1.0
    while int(at(high).sum()) < total:
        low, high = high, high * 2
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (low, middle) if int(at(middle).sum()) > total else (middle, high)
    out = at(low)
    short = total - int(out.sum())
    while short:  # what rounding down left over goes to those with the most, one each
        open_ranks = np.flatnonzero(out < most)[-short:]
        out[open_ranks] += 1
        short -= len(open_ranks)
    return out


def _pairs(sizes: Sizes, user_counts: Ints) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Distinct pairs: user u has ``user_counts[u]`` items, drawn by popularity; every item has a user."""
    num_users, num_items, num_ratings = sizes.num_users, sizes.num_items, sizes.num_ratings
    targets = _shuffled(_degrees(_item_tail(num_items), num_ratings - num_items, num_users, 0), sizes, 1)
    # one user for every item: rows of users laid end to end, stepped through evenly, meet distinct places
    places = np.arange(num_items, dtype=np.int64) * num_ratings // num_items
    first_users = np.searchsorted(np.cumsum(user_counts), places, side="right")
    covered = first_users * num_items + _Stream(sizes.seed, 2).permutation(num_items)
    covered.sort()

    dense = user_counts > num_items // DENSE_SHARE
    missing = user_counts - np.bincount(first_users, minlength=num_users)
    keys, left = _drawn_by_rejection(sizes, covered, np.where(dense, 0, missing), targets)
    dense[left] = True
    keys = np.concatenate([keys, *_drawn_whole(sizes, keys, np.flatnonzero(dense), user_counts, targets)])
    keys.sort()  # by user, then item
    keys = keys[np.append(True, keys[1:] != keys[:-1])]  # what dense users held was there twice
    users = keys // num_items
    return users.astype(np.int32), (keys - users * num_items).astype(np.int32)


def _drawn_by_rejection(sizes: Sizes, covered: Ints, missing: Ints, targets: Ints) -> tuple[Ints, Ints]:
    """Draws items by popularity, and again what a user has already: fewer by half or more each round.

    Returns:
        All pairs so far, and the users who still lack items: a few at most, and only where nearly every
        rating is the only one of its item.
    """
    stream = _Stream(sizes.seed, 3)
    urn = np.repeat(np.arange(sizes.num_items, dtype=np.int32), targets)
    keys = covered
    pending = np.repeat(np.arange(sizes.num_users, dtype=np.int64), missing)
    for _ in range(ROUNDS):
        if not len(pending):
            break
        drawn = np.sort(pending * sizes.num_items + urn[stream.below(len(pending), len(urn))])
        place = np.minimum(np.searchsorted(keys, drawn), len(keys) - 1)
        again = keys[place] == drawn
        again[1:] |= drawn[1:] == drawn[:-1]
        keys = np.sort(np.concatenate([keys, drawn[~again]]), kind="stable")  # merges two sorted runs
        pending = drawn[again] // sizes.num_items
    return keys, pending


def _drawn_whole(sizes: Sizes, held: Ints, dense: Ints, user_counts: Ints, targets: Ints) -> list[Ints]:
    """For users with a large part of the items: a random score an item, the smallest are taken.

    With u uniform, an item of popularity w is below a threshold t with probability wt / (1 + wt).
    """
    stream = _Stream(sizes.seed, 4)
    num_items = sizes.num_items
    weights = targets.astype(np.float64) + 1.0
    rows_at_once = max(1, 4 * CHUNK // num_items)
    out = []
    for start in range(0, len(dense), rows_at_once):
        users = dense[start : start + rows_at_once]
        u = stream.uniform(len(users) * num_items).reshape(len(users), num_items)
        scores = u / ((1.0 - u) * weights)
        low, high = np.searchsorted(held, [users[0] * num_items, (users[-1] + 1) * num_items])
        owner = held[low:high] // num_items
        row = np.minimum(np.searchsorted(users, owner), len(users) - 1)
        own = users[row] == owner
        scores[row[own], (held[low:high] - owner * num_items)[own]] = -1.0  # stays
        order = np.argsort(scores, axis=1, kind="stable")
        taken = np.arange(num_items) < user_counts[users][:, None]
        out.append((users[:, None] * num_items + order)[taken])
    return out


def _stars(
    sizes: Sizes, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], item_counts: Ints
) -> npt.NDArray[np.float32]:
    popularity = np.sqrt(np.sqrt(item_counts * (sizes.num_items / sizes.num_ratings)))
    user_effects = USER_SD * _Stream(sizes.seed, 5).normal(sizes.num_users)
    item_effects = ITEM_SD * _Stream(sizes.seed, 6).normal(sizes.num_items) + POPULARITY_SLOPE * popularity
    user_factors = _factors(_Stream(sizes.seed, 7), sizes.num_users)
    item_factors = _factors(_Stream(sizes.seed, 8), sizes.num_items)
    noise = _Stream(sizes.seed, 9)
    weight = FACTOR_WEIGHT / math.sqrt(NUM_FACTORS)
    scores = np.empty(len(users))
    for start in range(0, len(users), CHUNK):
        chunk = slice(start, start + CHUNK)
        user, item = users[chunk], items[chunk]
        products = user_factors[user] * item_factors[item]
        affinity = products[:, 0].astype(np.float64)
        for k in range(1, NUM_FACTORS):
            affinity += products[:, k]
        score = user_effects[user] + item_effects[item]
        score += weight * affinity
        score += NOISE_SD * noise.normal(len(user))
        scores[chunk] = score
    below = [count * len(scores) // sum(STARS) for count in np.cumsum(STARS[:-1]).tolist()]
    stars = np.ones(len(scores), dtype=np.float32)
    for cut in np.partition(scores, below)[below]:
        stars += scores >= cut
    return stars


def _factors(stream: _Stream, n: int) -> npt.NDArray[np.float32]:
    return stream.normal(n * NUM_FACTORS).astype(np.float32).reshape(n, NUM_FACTORS)


def _timestamps(sizes: Sizes, users: npt.NDArray[np.int32]) -> Ints:
    """Users begin, and each then rates, densely at first and ever more thinly to the end."""
    span = float(DAYS * 86_400)
    begins = _Stream(sizes.seed, 10).uniform(sizes.num_users)
    begins = begins * begins * span
    out = np.empty(len(users), dtype=np.int64)
    stream = _Stream(sizes.seed, 11)
    for start in range(0, len(users), CHUNK):
        begin = begins[users[start : start + CHUNK]]
        u = stream.uniform(len(begin))
        out[start : start + CHUNK] = begin + u * u * (span - begin)
    out += FIRST_SECOND
    return out
