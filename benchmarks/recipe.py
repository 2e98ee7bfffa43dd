"""Keras's published example, done its way: what ``bench`` is compared with.

The method of "Memory-efficient embeddings for recommendation systems" (Salama, Keras code examples, 2021):
ids are texts in a CSV file that is parsed and shuffled anew in every epoch, looked up in vocabularies inside
the graph, and trained on by ``model.fit``. Experiment 1 has full tables; experiment 2 splits user ids into
quotient and remainder (Shi et al. 2019, arXiv 1909.02107) and gives movies vectors of mixed widths (Ginart et
al. 2019, arXiv 1909.11810). Written from that description and apart from the harness: they share no code.
"""

from __future__ import annotations

import itertools
import tempfile
import time
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

BATCH_SIZE = 128
EPOCHS = 3
LEARNING_RATE = 0.001
WIDTH = 64
SHUFFLE_BUFFER = 10_000  # of make_csv_dataset, which the example leaves as it is
BLOCK_ENDS = (400, 1700)
BLOCK_WIDTHS = (64, 32, 16)
USERS_A_BUCKET = 50
COLUMNS = ("user_id", "movie_id", "rating")


@dataclass(frozen=True)
class Ratings:
    """Ratings as integers, in the order in which they shall lie in the file.

    Attributes:
        users: integers (rows,), any numbering.
        movies: integers (rows,), any numbering.
        stars: numbers (rows,).
        train: bool (rows,); the others evaluate.
    """

    users: npt.NDArray[np.integer]
    movies: npt.NDArray[np.integer]
    stars: npt.NDArray[np.floating]
    train: npt.NDArray[np.bool_]


def published_split(rows: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Which rows train: each with probability 0.85, as the example draws them."""
    return np.random.default_rng(seed).random(rows) <= 0.85


class Recipe:
    """One of the example's two models, with its data in files.

    Args:
        model: compiled.
        folder: where ``train.csv`` and ``eval.csv`` lie.
    """

    def __init__(self, model: keras.Model, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.model = model
        self._folder = folder

    def rows(self, part: str, shuffle: bool) -> tf.data.Dataset:
        """Batches of a file: a mapping of texts, and stars."""
        return tf.data.experimental.make_csv_dataset(
            str(Path(self._folder.name, f"{part}.csv")),
            batch_size=BATCH_SIZE,
            column_names=list(COLUMNS),
            label_name=COLUMNS[-1],
            num_epochs=1,
            header=False,
            field_delim="|",
            shuffle=shuffle,
            shuffle_buffer_size=SHUFFLE_BUFFER,
        )

    def measure(self, steps: int = 500, warm_up: int = 100, repeats: int = 1) -> list[float]:
        """Milliseconds a training step within ``fit``, its start, compilation and progress bar left out.

        Args:
            steps: how many are timed at a time.
            warm_up: steps before those, which compile and fill the shuffle buffer.
            repeats: how often; all within one epoch, so the file must have enough rows.

        Raises:
            ValueError: the file ends before that.
        """
        clock = _Clock(warm_up, steps)
        needed = warm_up + repeats * steps
        self._fit(self.rows("train", shuffle=True).take(needed), callbacks=[clock])
        if clock.step < needed:
            raise ValueError(f"{needed} steps of {BATCH_SIZE} asked for, the training rows make {clock.step}")
        return [1000 * (end - begin) / steps for begin, end in itertools.pairwise(clock.times)]

    def run(self, epochs: int = EPOCHS) -> list[float]:
        """Trains as published; returns the evaluation rows' mean absolute error after each epoch."""
        evaluation = self.rows("eval", shuffle=False)
        history = self._fit(self.rows("train", shuffle=True), epochs=epochs, validation_data=evaluation)
        return [float(value) for value in history.history["val_mae"]]

    def _fit(self, rows: tf.data.Dataset, **arguments: Any) -> Any:
        with warnings.catch_warnings():
            # a file's batches cannot be counted ahead, and shuffle themselves
            warnings.filterwarnings("ignore", "Your input ran out of data|`shuffle=True` was passed")
            return self.model.fit(rows, verbose=0, **arguments)


class _Clock(keras.callbacks.Callback):
    """Takes the time after ``warm_up`` steps and every ``steps`` from there."""

    def __init__(self, warm_up: int, steps: int) -> None:
        super().__init__()
        self.warm_up, self.steps = warm_up, steps
        self.step, self.times = 0, list[float]()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        past = self.step - self.warm_up
        if past >= 0 and past % self.steps == 0:
            self.times.append(time.perf_counter())


def build(experiment: int, ratings: Ratings) -> Recipe:
    """Writes the files and makes the model of an experiment.

    Args:
        experiment: 1 for full tables (623,744 parameters on MovieLens 1M), 2 for the memory-efficient model
            (117,968).
        ratings: all rows; vocabularies are taken from all of them, in order of appearance.

    Raises:
        ValueError: another experiment.
    """
    if experiment not in (1, 2):
        raise ValueError(f"experiment={experiment}: give 1 or 2")
    # the files go when the Recipe does
    folder = tempfile.TemporaryDirectory(prefix="recipe-")
    users, movies = _texts("user", ratings.users), _texts("movie", ratings.movies)
    for part, chosen in (("train", ratings.train), ("eval", ~ratings.train)):
        stars = ratings.stars[chosen].astype(np.float64).tolist()
        rows = zip(users[chosen].tolist(), movies[chosen].tolist(), stars, strict=True)
        text = "".join(f"{user}|{movie}|{star}\n" for user, movie, star in rows)
        Path(folder.name, f"{part}.csv").write_text(text, encoding="ascii")
    user_words, movie_words = _vocabulary(users), _vocabulary(movies)
    if experiment == 1:
        of_user = _lookup_table(user_words, WIDTH, "user")
        of_movie = _lookup_table(movie_words, WIDTH, "movie")
    else:
        of_user = QuotientRemainder(user_words, len(user_words) // USERS_A_BUCKET, WIDTH, name="user")
        of_movie = MixedDimensions(_blocks(movies, movie_words), BLOCK_WIDTHS, WIDTH, name="movie")
    return Recipe(_compiled(of_user, of_movie), folder)


def _texts(prefix: str, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.str_]:
    known, inverse = np.unique(ids, return_inverse=True)
    return np.array([f"{prefix}_{number}" for number in known])[inverse]


def _vocabulary(texts: npt.NDArray[np.str_]) -> list[str]:
    words, first = np.unique(texts, return_index=True)
    return [str(word) for word in words[np.argsort(first)]]


def _blocks(texts: npt.NDArray[np.str_], words: Sequence[str]) -> list[list[str]]:
    """The vocabulary by falling number of ratings, in blocks; the example counts evaluation rows too."""
    known, counts = np.unique(texts, return_counts=True)
    ratings = dict(zip(known.tolist(), counts.tolist(), strict=True))
    ranked = sorted(words, key=lambda word: -ratings[word])
    ends = [0, *BLOCK_ENDS, len(ranked)]
    return [ranked[begin:end] for begin, end in itertools.pairwise(ends)]


def _lookup_table(words: list[str], width: int, name: str, unknown: int = 0) -> keras.Sequential:
    """Texts to vectors: a vocabulary, then a table with one row a word and ``unknown`` for all others."""
    lookup = keras.layers.StringLookup(vocabulary=words, mask_token=None, num_oov_indices=unknown)
    return keras.Sequential([lookup, keras.layers.Embedding(len(words) + unknown, width)], name=name)


def _compiled(of_user: Any, of_movie: Any) -> keras.Model:
    # ordered as make_csv_dataset's: Keras sorts a plain dict and then feeds movies to users
    inputs = OrderedDict((column, keras.Input((), name=column, dtype=tf.string)) for column in COLUMNS[:2])
    similarity = keras.layers.Dot(axes=1)([of_user(inputs["user_id"]), of_movie(inputs["movie_id"])])
    model = keras.Model(inputs, 5 * keras.ops.sigmoid(similarity))
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
    )
    return model


class QuotientRemainder(keras.layers.Layer):
    """The product of a row chosen by id // buckets and one by id % buckets, each of a table of its own."""

    def __init__(self, words: list[str], buckets: int, width: int, name: str) -> None:
        super().__init__(name=name)
        self.buckets = buckets
        self.lookup = keras.layers.StringLookup(vocabulary=words, mask_token=None, num_oov_indices=0)
        self.quotients = keras.layers.Embedding(buckets, width)
        self.remainders = keras.layers.Embedding(buckets, width)

    def call(self, texts: Any) -> Any:
        """Vectors (batch, width) of texts (batch,)."""
        ids = self.lookup(texts)
        return self.quotients(ids // self.buckets) * self.remainders(ids % self.buckets)


class MixedDimensions(keras.layers.Layer):
    """Every block's vectors for all texts, each masked to the block that a text is of, and summed."""

    def __init__(self, blocks: list[list[str]], widths: Sequence[int], width: int, name: str) -> None:
        super().__init__(name=name)
        self.width = width
        numbers = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
        words = tf.constant([word for block in blocks for word in block])
        pairs = tf.lookup.KeyValueTensorInitializer(words, tf.constant(numbers, tf.int32))
        self.block_of = tf.lookup.StaticHashTable(pairs, default_value=-1)
        self.tables = [
            _lookup_table(block, own, f"{name}_{number}", unknown=1)
            for number, (block, own) in enumerate(zip(blocks, widths, strict=True))
        ]
        self.projections = [keras.layers.Dense(width) if own != width else None for own in widths]

    def call(self, texts: Any) -> Any:
        """Vectors (batch, width) of texts (batch,)."""
        block = self.block_of.lookup(texts)
        vectors = tf.zeros((tf.shape(texts)[0], self.width))
        for number, (table, project) in enumerate(zip(self.tables, self.projections, strict=True)):
            own = table(texts)
            if project is not None:
                own = project(own)
            vectors += own * tf.cast(block == number, tf.float32)[:, None]
        return vectors

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, width)."""
        return (*input_shape, self.width)
