"""float32 as JSON: valid, and read back to the last bit, for numbers of every size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.server.numbers import BLOCK, as_json, as_octets


def read(text: bytes) -> np.ndarray:
    """What a reader of JSON makes of it, by way of doubles."""
    tree = json.loads(text)
    flat = [np.nan if value is None else value for value in tree]
    return np.array(flat, np.float64).astype(np.float32)


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    bits = found.view(np.uint32) == wanted.view(np.uint32)
    return bool((bits | (np.isnan(found) & np.isnan(wanted))).all())


@pytest.mark.filterwarnings("error")
def test_any_bits_are_read_back():
    values = np.random.default_rng(0).integers(0, 2**32, 3 * BLOCK + 7, np.uint32).view(np.float32)
    assert same(read(as_json(values)), values)


def test_powers_of_ten_and_their_neighbours_are_read_back():
    powers = np.array([float(f"1e{power}") for power in range(-45, 39)], np.float32)
    values = np.concatenate([powers, *(np.nextafter(powers, np.float32(end)) for end in (0, np.inf))])
    values = np.concatenate([values, -values])
    assert same(read(as_json(values)), values)


def test_special_numbers():
    largest = np.finfo(np.float32).max
    special = [0.0, -0.0, largest, -largest, 1e-45, np.float32(7.038531e-26), np.inf, -np.inf, np.nan]
    values = np.array(special, np.float32)
    assert same(read(as_json(values)), values)
    assert json.loads(as_json(values))[-1] is None


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 4), (3, 0), (1, 1), (3, 5), (700, 64), (2, BLOCK + 3)])
def test_shapes_are_kept(shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = np.array(json.loads(as_json(values)), np.float64).astype(np.float32)
    assert same(found.reshape(shape), values) and len(json.loads(as_json(values))) == shape[0]


def test_octets_are_little_endian():
    assert as_octets(np.array([[1.0, -2.0]], np.float32)) == b"\0\0\x80?\0\0\0\xc0"
    assert as_octets(np.array([1.0], ">f4")) == b"\0\0\x80?"
