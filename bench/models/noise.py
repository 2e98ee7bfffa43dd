"""Noise for stochastic rounding and dropout that costs little beside a step: a hash of row, column, step and seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

WEYL = 0x9E3779B9
"""2^32 over the golden ratio: odd, and its multiples lie far apart."""


def noise(rows: Any, width: int, key: Any) -> Any:
    """Draws from U[0, 1), multiples of 2^-24: equal for equal rows under one key, else as good as independent.

    A counter goes through a mixing function that no statistic can tell from random draws (Steele, Lea and Flood,
    "Fast splittable pseudorandom number generators", 2014): a row's own starting point, then a fixed distance a
    column. TensorFlow's generators give the same, in several times the time of all else in a step.

    Args:
        rows: row numbers, integers of shape (n,).
        width: how many draws a row.
        key: of these draws, what ``noise_key`` gave.

    Returns:
        float32 of shape (n, width).
    """
    first = _mixed(tf.cast(rows, tf.uint32) * tf.constant(WEYL, tf.uint32) + key)
    distances = tf.constant(np.arange(width, dtype=np.uint32) * np.uint32(WEYL))
    bits = tf.bitwise.right_shift(_mixed(first[:, None] + distances), tf.constant(8, tf.uint32))
    return tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24


def noise_key(seed: int, table: int, step: Any) -> Any:
    """A number, uint32, that is another for another seed, table or step.

    Args:
        seed: the run's, any integer from 0.
        table: the table's number.
        step: steps done.
    """
    fixed = np.random.SeedSequence([seed, table]).generate_state(1, np.uint32)[0]
    return _key(tf.cast(step, tf.uint32), tf.constant(fixed))


def drawn_key(state: Any) -> Any:
    """A number, uint32, that is another for another state of a random generator.

    Args:
        state: two integers, (2,): what ``keras.random.SeedGenerator.next`` gives.
    """
    seed, count = tf.unstack(tf.cast(state, tf.uint32))
    return _key(count, seed)


def _key(number: Any, fixed: Any) -> Any:
    """A number, uint32, that is another for another of both."""
    return _mixed(_mixed(number * tf.constant(WEYL, tf.uint32)) + fixed)


def _mixed(x: Any) -> Any:
    """A bijection of uint32 in which each bit depends on all: Wellons's ``lowbias32``, a form of MurmurHash3's end."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
        if factor is not None:
            x = x * tf.constant(factor, tf.uint32)
    return x
