"""A replica of Keras's published example, which ``bench`` is compared with.

The example is "Memory-efficient embeddings for recommendation systems" (Salama, Keras code examples, 2021). Its ids
are texts in a CSV file. Each epoch parses and shuffles the file again. The graph looks the texts up in vocabularies,
and ``model.fit`` trains. Experiment 1 has full tables. Experiment 2 splits user ids into quotient and remainder (Shi et
al. 2019, arXiv 1909.02107) and gives movies vectors of mixed widths (Ginart et al. 2019, arXiv 1909.11810).

The replica is written from that description. It shares no code with the harness.
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
SHUFFLE_BUFFER = 10_000  # the default of make_csv_dataset, which the example keeps
BLOCK_ENDS = (400, 1700)
BLOCK_WIDTHS = (64, 32, 16)
USERS_A_BUCKET = 50
COLUMNS = ("user_id", "movie_id", "rating")


@dataclass(frozen=True)
class Ratings:
    """Ratings, in the order that they get in the files.

    Attributes:
        users: integers (rows,), numbered in any way.
        movies: integers (rows,), numbered in any way.
        stars: numbers (rows,).
        train: True for training rows, False for evaluation rows, bool (rows,).
    """

    users: npt.NDArray[np.integer]
    movies: npt.NDArray[np.integer]
    stars: npt.NDArray[np.floating]
    train: npt.NDArray[np.bool_]


def published_split(rows: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Draws the training rows as the example does: each row with probability 0.85. Gives bool (rows,)."""
    return np.random.default_rng(seed).random(rows) <= 0.85


class Recipe:
    """One of the example's two models, with its data in files.

    Args:
        model: the compiled model.
        folder: the folder of ``train.csv`` and ``eval.csv``.
    """

    def __init__(self, model: keras.Model, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.model = model
        self._folder = folder

    def rows(self, part: str, shuffle: bool) -> tf.data.Dataset:
        """Gives batches of a file. Each batch is a mapping of texts by column, and the stars."""
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
        """Measures a training step inside ``fit``, in milliseconds. Start, compilation and progress bar do not count.

        Args:
            steps: steps of one measurement.
            warm_up: steps before the first measurement. They compile the program and fill the shuffle buffer.
            repeats: number of measurements. All are in one epoch, so the file must have enough rows.

        Raises:
            ValueError: the file has too few rows.
        """
        clock = _Clock(warm_up, steps)
        needed = warm_up + repeats * steps
        self._fit(self.rows("train", shuffle=True).take(needed), callbacks=[clock])
        if clock.step < needed:
            raise ValueError(f"{needed} steps of {BATCH_SIZE} asked for, the training rows make {clock.step}")
        return [1000 * (end - begin) / steps for begin, end in itertools.pairwise(clock.times)]

    def run(self, epochs: int = EPOCHS) -> list[float]:
        """Trains as published. Gives the mean absolute error on the evaluation rows after each epoch."""
        evaluation = self.rows("eval", shuffle=False)
        history = self._fit(self.rows("train", shuffle=True), epochs=epochs, validation_data=evaluation)
        return [float(value) for value in history.history["val_mae"]]

    def _fit(self, rows: tf.data.Dataset, **arguments: Any) -> Any:
        with warnings.catch_warnings():
            # Keras cannot count the batches of a file ahead, and warns. The data set does the shuffling.
            warnings.filterwarnings("ignore", "Your input ran out of data|`shuffle=True` was passed")
            return self.model.fit(rows, verbose=0, **arguments)


class _Clock(keras.callbacks.Callback):
    """Takes the time after ``warm_up`` steps, and then after every ``steps`` steps."""

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
    """Writes the files of an experiment and makes its model.

    Args:
        experiment: 1 for full tables (623,744 parameters on MovieLens 1M), 2 for the memory-efficient model
            (117,968).
        ratings: all rows. The vocabularies hold the ids of all of them, in order of appearance.

    Raises:
        ValueError: the experiment is neither 1 nor 2.
    """
    if experiment not in (1, 2):
        raise ValueError(f"experiment={experiment}: give 1 or 2")
    # the folder is deleted together with the Recipe
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
    """Cuts the vocabulary into blocks, by falling number of ratings. As in the example, evaluation rows count too."""
    known, counts = np.unique(texts, return_counts=True)
    ratings = dict(zip(known.tolist(), counts.tolist(), strict=True))
    ranked = sorted(words, key=lambda word: -ratings[word])
    ends = [0, *BLOCK_ENDS, len(ranked)]
    return [ranked[begin:end] for begin, end in itertools.pairwise(ends)]


def _lookup_table(words: list[str], width: int, name: str, unknown: int = 0) -> keras.Sequential:
    """Makes the layers from texts to vectors: a vocabulary, and a table with a row a word and ``unknown`` more rows."""
    lookup = keras.layers.StringLookup(vocabulary=words, mask_token=None, num_oov_indices=unknown)
    return keras.Sequential([lookup, keras.layers.Embedding(len(words) + unknown, width)], name=name)


def _compiled(of_user: Any, of_movie: Any) -> keras.Model:
    # The order is that of make_csv_dataset. Keras sorts a plain dict, and would feed movies to the users' input.
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
    """The product of two rows: row id // buckets of one table and row id % buckets of another."""

    def __init__(self, words: list[str], buckets: int, width: int, name: str) -> None:
        super().__init__(name=name)
        self.buckets = buckets
        self.lookup = keras.layers.StringLookup(vocabulary=words, mask_token=None, num_oov_indices=0)
        self.quotients = keras.layers.Embedding(buckets, width)
        self.remainders = keras.layers.Embedding(buckets, width)

    def call(self, texts: Any) -> Any:
        """Gives vectors (batch, width) for texts (batch,)."""
        ids = self.lookup(texts)
        return self.quotients(ids // self.buckets) * self.remainders(ids % self.buckets)


class MixedDimensions(keras.layers.Layer):
    """Vectors of mixed widths. Each block gives a vector for every text. A mask keeps the one of the text's block."""

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
        """Gives vectors (batch, width) for texts (batch,)."""
        block = self.block_of.lookup(texts)
        vectors = tf.zeros((tf.shape(texts)[0], self.width))
        for number, (table, project) in enumerate(zip(self.tables, self.projections, strict=True)):
            own = table(texts)
            if project is not None:
                own = project(own)
            vectors += own * tf.cast(block == number, tf.float32)[:, None]
        return vectors

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Gives (batch, width)."""
        return (*input_shape, self.width)
