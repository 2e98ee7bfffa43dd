"""Generates a shop's orders as a CSV file: a column of times, two of ids with millions of rows, a label, and others.

Run it with ``python -m benchmarks.orders [output=orders.csv.gz] [rows=3000000] [customers=400000] [skus=60000]
[stores=120] [categories=24] [odd_rows=0] [seed=0]``. The output ends in ``.csv`` or ``.csv.gz``. Equal arguments give
equal bytes of CSV on every machine. Rows are made and written block by block.

stars = what is left after cutting this sum at fixed points:
    customer's bias + sku's bias + category's bias + store's bias + p_customer . q_sku + noise
Customers and skus are drawn by power laws, and a tenth of all orders by a customer's own taste. Times rise.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bench.data.arrow import from_numpy
from bench.data.portable import Floats, Ints, Stream
from bench.data.synthetic_ctr import zipf
from bench.errors import RequestError

BLOCK = 100_000
"""Rows that are made at once. Another number gives other rows."""

COLUMNS = ("order_ts", "customer", "sku", "stars", "store", "category", "text")
DIM = 8
"""The width of the planted vectors."""

CUSTOMER, SKU, CATEGORY, STORE, MATCH, NOISE = 0.45, 0.5, 0.3, 0.1, 0.55, 0.6
"""Standard deviations of the parts of a rating."""

CUTS = (-1.75, -1.15, -0.55, 0.35)
"""Where the sum is cut into 1 to 5 stars: many orders are liked."""

BEGIN, STEP = 1_672_531_200, 15
"""The time of the first order, in seconds since 1970, and the mean seconds between two."""

WORDS = (
    "the", "a", "it", "and", "was", "is", "for", "my", "very", "quite", "not", "works", "arrived", "broke", "fits",
    "colour", "size", "box", "price", "quality", "gift", "daughter", "kitchen", "garden", "again", "late", "early",
    "lovely", "cheap", "sturdy", "heavy, though", '"as shown"', "würde", "café", "returned", "after", "two", "weeks",
)  # fmt: skip
MOST_WORDS = 14


@dataclass(frozen=True)
class Shop:
    """What is planted.

    Attributes:
        customers: biases, float64 (customers,).
        skus: biases with those of the category, float64 (skus,).
        stores: biases, float64 (stores,).
        tastes: vectors of customers, float64 (customers, DIM).
        traits: vectors of skus, float64 (skus, DIM).
        categories: of each sku, int64 (skus,).
        names: the texts that stand for customers, skus, stores and categories, as Arrow arrays.
    """

    customers: Floats
    skus: Floats
    stores: Floats
    tastes: npt.NDArray[np.float64]
    traits: npt.NDArray[np.float64]
    categories: Ints
    names: dict[str, Any]

    @classmethod
    def planted(cls, customers: int, skus: int, stores: int, categories: int, seed: int) -> Shop:
        """Draws biases, vectors and names."""
        import pyarrow as pa

        def draws(purpose: int) -> Stream:
            return Stream([seed, 0, purpose])

        of_sku = draws(1).below(skus, categories)
        numbers = draws(2).permutation(
            customers
        )  # a customer's number says nothing about how often she orders
        return cls(
            CUSTOMER * draws(3).normal(customers),
            SKU * draws(4).normal(skus) + (CATEGORY * draws(5).normal(categories))[of_sku],
            STORE * draws(6).normal(stores),
            draws(7).normal(customers * DIM).reshape(-1, DIM),
            draws(8).normal(skus * DIM).reshape(-1, DIM) * (MATCH / DIM**0.5),
            of_sku,
            {
                "customer": pa.array([f"C{number:07d}" for number in numbers.tolist()]),
                "sku": pa.array([f"{draw:05d}-{number % 7}" for number, draw in
                                 enumerate(draws(9).permutation(skus).tolist())]),
                "store": pa.array([f"S{number:03d}" for number in range(stores)]),
                "category": pa.array([f"cat {number + 1}" for number in range(categories)]),
            },
        )  # fmt: skip

    def orders(self, rows: int, first: int, seed: int, odd_rows: int) -> Any:
        """Some orders, one after the other: an Arrow array of lines of the file.

        Args:
            rows: their number.
            first: the number of the first of them, a multiple of ``BLOCK``.
            seed: decides what is drawn.
            odd_rows: so many of them lack the customer or have a word in place of stars.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        block = first // BLOCK + 1

        def draws(purpose: int) -> Stream:
            return Stream([seed, block, purpose])

        customer = zipf(len(self.customers), 0.6, draws(1).uniform(rows)).astype(np.int64)
        sku = zipf(len(self.skus), 0.9, draws(2).uniform(rows)).astype(np.int64)
        second = zipf(len(self.skus), 0.9, draws(3).uniform(rows)).astype(np.int64)
        match, other = (_dot(self.tastes[customer], self.traits[item]) for item in (sku, second))
        chosen = (draws(4).below(rows, 10) == 0) & (
            other > match
        )  # one looks at two, and takes the better one
        sku, match = np.where(chosen, second, sku), np.where(chosen, other, match)
        store = (customer + draws(5).below(rows, 3)) % len(self.stores)  # three stores are near a customer
        score = self.customers[customer] + self.skus[sku] + self.stores[store] + match
        score += NOISE * draws(6).normal(rows)
        stars = pa.array(1 + np.searchsorted(np.array(CUTS), score)).cast(pa.string())
        people = self.names["customer"].take(from_numpy(customer))
        odd = np.zeros(rows, np.bool_)
        odd[draws(7).permutation(rows)[:odd_rows]] = True
        even = draws(8).below(rows, 2) == 0
        people = pc.if_else(pa.array(odd & even), pa.scalar(""), people)
        stars = pc.if_else(pa.array(odd & ~even), pa.scalar("n/a"), stars)
        seconds = BEGIN + STEP * (first + np.arange(rows)) + draws(9).below(rows, STEP)
        times = from_numpy(seconds).cast(pa.timestamp("s"))
        return pc.binary_join_element_wise(
            pc.strftime(times, format="%Y-%m-%dT%H:%M:%S"), people, self.names["sku"].take(from_numpy(sku)), stars,
            self.names["store"].take(from_numpy(store)),
            self.names["category"].take(from_numpy(self.categories[sku])), _texts(rows, draws(10)), ",",
        )  # fmt: skip


def _dot(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> Floats:
    total = left[:, 0] * right[:, 0]  # in a fixed order, so that the bits are the same everywhere
    for place in range(1, DIM):
        total = total + left[:, place] * right[:, place]
    return total


def _texts(rows: int, draws: Stream) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    words, lengths = pa.array(WORDS), 4 + draws.below(rows, MOST_WORDS - 3)
    columns = [
        words.take(pa.array(draws.below(rows, len(WORDS)), mask=place >= lengths))
        for place in range(MOST_WORDS)
    ]
    texts = pc.binary_join_element_wise(*columns, " ", null_handling="skip")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[,"]'), quoted, texts)


def lines(rows: int, shop: Shop, seed: int, odd_rows: int) -> Iterator[bytes]:
    """Yields the lines of the file, a block of them at a time, the header first."""
    yield (",".join(COLUMNS) + "\n").encode()
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        before, after = first * odd_rows // rows, (first + count) * odd_rows // rows
        orders = shop.orders(count, first, seed, after - before)
        yield "\n".join([*orders.to_pylist(), ""]).encode()


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write to, which gets its name when it is whole."""
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed, io.BufferedWriter(packed) as file:
                    yield file
            else:
                yield raw
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def read(arguments: list[str]) -> tuple[Path, dict[str, int]]:
    """Reads the command's arguments: the output, and the numbers by name.

    Raises:
        RequestError: one of them is wrong.
    """
    numbers = {"rows": 3_000_000, "customers": 400_000, "skus": 60_000, "stores": 120, "categories": 24,
               "odd_rows": 0, "seed": 0}  # fmt: skip
    output = "orders.csv.gz"
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "output" and value.endswith((".csv", ".csv.gz")):
            output = value
        elif name == "output":
            raise RequestError(f"{argument}: give a file that ends in .csv or .csv.gz")
        elif name not in numbers:
            raise RequestError(f"{argument}: give {', '.join(f'{own}=' for own in ('output', *numbers))}")
        else:
            low = 0 if name in ("odd_rows", "seed") else 1
            if not value.isdecimal() or int(value) < low or int(value) >= 2**32:
                raise RequestError(f"{argument}: give a whole number, at least {low} and below 2**32")
            numbers[name] = int(value)
    if numbers["odd_rows"] > numbers["rows"]:
        raise RequestError(f"odd_rows={numbers['odd_rows']}: there are {numbers['rows']} rows; give no more")
    return Path(output).expanduser(), numbers


def main(arguments: list[str]) -> int:
    """Writes the file, and gives the exit code."""
    try:
        path, given = read(arguments)
        rows, seed, odd_rows = (given.pop(name) for name in ("rows", "seed", "odd_rows"))
        shop = Shop.planted(**given, seed=seed)
        with written(path) as file:
            for block in lines(rows, shop, seed, odd_rows):
                file.write(block)
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: output={path}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    print(f"{path}: {rows:,} orders, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
