"""Ratings in the shape of MovieLens 1M from a planted model: the same bytes on every processor.

Who rated what: users and items have long-tailed numbers of ratings, and every pair is distinct. What they
gave: a latent score

    score(u, i) = user effect + item effect + FACTOR_WEIGHT * (p_u . q_i) / sqrt(NUM_FACTORS) + noise

cut into stars 1 to 5 where MovieLens 1M's shares of each star fall. Users' and items' effects and the
residual have the standard deviations that an additive fit finds in MovieLens 1M.

With ``contexts`` each rating also has an hour and a device, popular ones more often, and the score gets

    CONTEXT_SD * (effect of the hour + effect of the device + (q_i . r_device) / sqrt(NUM_FACTORS))

Its numbers are those of ``bench.data.portable``; tails are quotients of square roots. Time and memory grow linearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.interactions import Rows, Source
from bench.data.portable import Floats, Ints, Stream
from bench.data.settings import SyntheticSettings

VERSION = 1  # of the bytes made: a change of any of them needs a new number, or caches would serve old ones
NUM_FACTORS = 8
USER_SD, ITEM_SD, POPULARITY_SLOPE = 0.4, 0.54, 0.76
FACTOR_WEIGHT, NOISE_SD = 0.46, 0.725
STARS = (56_174, 107_557, 261_197, 348_971, 226_310)  # MovieLens 1M's counts of 1, 2, 3, 4 and 5
LEAST_SHARE = 0.121  # the least active user against the mean one, as in MovieLens 1M
DENSE_SHARE = 8  # users with more than one in so many of the items are drawn item by item
ROUNDS = 64  # of drawing again, before the rest is drawn item by item too
FIRST_SECOND, DAYS = 956_707_200, 1_000  # timestamps begin on 2000-04-26 and span so many days
CONTEXTS = {"hour": 24, "device": 8}
"""Sizes of the two further fields."""

CONTEXT_SD = 0.35
CHUNK = 1 << 18  # rows at once, so that temporaries stay in the processor's cache


@dataclass(frozen=True)
class Sizes:
    """The settings of the generator; ``seed`` decides everything random."""

    num_users: int
    num_items: int
    num_ratings: int
    seed: int
    contexts: bool = False


def source(settings: SyntheticSettings, data_dir: Path) -> Source:
    """The generator, which needs no file.

    Args:
        settings: what to generate.
        data_dir: not used.
    """
    sizes = Sizes(
        settings.num_users, settings.num_items, settings.num_ratings, settings.seed, settings.contexts
    )
    own = {name: value for name, value in asdict(sizes).items() if value is not False}
    return Source({"kind": "synthetic", "version": VERSION, **own}, lambda: generate(sizes))


def generate(sizes: Sizes) -> Rows:
    """All rows, sorted by user, then item.

    Returns:
        Ids ``user`` and ``item`` int32 (rows,), with contexts ``hour`` and ``device`` too, labels float32 (rows,) of 1
        to 5, timestamps int64 (rows,) in seconds. Every user and every item has at least one row, every pair at most
        one.
    """
    user_counts = _shuffled(
        _degrees(_user_tail(sizes.num_users), sizes.num_ratings, sizes.num_items), sizes, 0
    )
    users, items = _pairs(sizes, user_counts)
    contexts = _contexts(sizes) if sizes.contexts else {}
    return Rows(
        origin="dataset=synthetic",
        ids={"user": users, "item": items, **contexts},
        labels=_stars(sizes, users, items, contexts),
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
    return values[Stream([sizes.seed, purpose]).permutation(len(values))]


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
    covered = first_users * num_items + Stream([sizes.seed, 2]).permutation(num_items)
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
    stream = Stream([sizes.seed, 3])
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
    stream = Stream([sizes.seed, 4])
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


def _contexts(sizes: Sizes) -> dict[str, npt.NDArray[np.int32]]:
    """Ids of the two further fields of each row; the first ids are the most frequent, int32 (rows,)."""
    found = {}
    for purpose, (name, size) in enumerate(CONTEXTS.items(), 12):
        u = Stream([sizes.seed, purpose]).uniform(sizes.num_ratings)
        found[name] = (u * u * size).astype(np.int32)
    return found


def _context_scores(
    sizes: Sizes,
    contexts: Mapping[str, npt.NDArray[np.int32]],
    item_factors: npt.NDArray[np.float32],
    items: Any,
) -> Floats:
    """What hour and device add to the score of each row, float64 (rows,)."""
    total = np.zeros(len(items))
    for purpose, (name, ids) in enumerate(contexts.items(), 14):
        total += Stream([sizes.seed, purpose]).normal(CONTEXTS[name])[ids]
    device_factors = _factors(Stream([sizes.seed, 16]), CONTEXTS["device"])
    affinity = _products(item_factors[items], device_factors[contexts["device"]])
    score: Floats = CONTEXT_SD * (total + affinity / math.sqrt(NUM_FACTORS))
    return score


def _stars(
    sizes: Sizes,
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    contexts: Mapping[str, npt.NDArray[np.int32]],
) -> npt.NDArray[np.float32]:
    item_counts = np.bincount(items, minlength=sizes.num_items)
    popularity = np.sqrt(np.sqrt(item_counts * (sizes.num_items / sizes.num_ratings)))
    user_effects = USER_SD * Stream([sizes.seed, 5]).normal(sizes.num_users)
    item_effects = ITEM_SD * Stream([sizes.seed, 6]).normal(sizes.num_items) + POPULARITY_SLOPE * popularity
    user_factors = _factors(Stream([sizes.seed, 7]), sizes.num_users)
    item_factors = _factors(Stream([sizes.seed, 8]), sizes.num_items)
    noise = Stream([sizes.seed, 9])
    weight = FACTOR_WEIGHT / math.sqrt(NUM_FACTORS)
    scores = np.empty(len(users))
    for start in range(0, len(users), CHUNK):
        chunk = slice(start, start + CHUNK)
        user, item = users[chunk], items[chunk]
        affinity = _products(user_factors[user], item_factors[item])
        score = user_effects[user] + item_effects[item]
        score += weight * affinity
        score += NOISE_SD * noise.normal(len(user))
        if contexts:
            score += _context_scores(
                sizes, {n: own[chunk] for n, own in contexts.items()}, item_factors, item
            )
        scores[chunk] = score
    below = [count * len(scores) // sum(STARS) for count in np.cumsum(STARS[:-1]).tolist()]
    stars = np.ones(len(scores), dtype=np.float32)
    for cut in np.partition(scores, below)[below]:
        stars += scores >= cut
    return stars


def _products(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> Floats:
    """Dot products of rows, summed in order, float64 (rows,)."""
    products = one * other
    total = products[:, 0].astype(np.float64)
    for k in range(1, NUM_FACTORS):
        total += products[:, k]
    return total


def _factors(stream: Stream, n: int) -> npt.NDArray[np.float32]:
    return stream.normal(n * NUM_FACTORS).astype(np.float32).reshape(n, NUM_FACTORS)


def _timestamps(sizes: Sizes, users: npt.NDArray[np.int32]) -> Ints:
    """Users begin, and each then rates, densely at first and ever more thinly to the end."""
    span = float(DAYS * 86_400)
    begins = Stream([sizes.seed, 10]).uniform(sizes.num_users)
    begins = begins * begins * span
    out = np.empty(len(users), dtype=np.int64)
    stream = Stream([sizes.seed, 11])
    for start in range(0, len(users), CHUNK):
        begin = begins[users[start : start + CHUNK]]
        u = stream.uniform(len(begin))
        out[start : start + CHUNK] = begin + u * u * (span - begin)
    out += FIRST_SECOND
    return out
