"""What is said of errors that nobody has foreseen."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.full import Full
from bench.errors import Interrupted, RequestError, end_if_asked, interrupt, unexpected, unwrapped
from bench.sweeps.board import SweepBoard


class InNumpy(Full):
    """A slip: NumPy in place of ``xp``."""

    def combine(self, rows: Any, indices: Any, weights: Any, xp: Any, training: bool) -> Any:
        return np.negative(rows["table"])


class Narrow(Full):
    def combine(self, rows: Any, indices: Any, weights: Any, xp: Any, training: bool) -> Any:
        return rows["table"][..., 1:]


def raised_in_a_model(method: type[Full]) -> Exception:
    """What Keras and TensorFlow make of an error in a layer of a model that is traced."""
    inputs = keras.Input((), dtype="int32")
    layer = CompressedEmbedding(method(Vocabulary("item", 5), 4))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(Exception) as caught:
        tf.function(lambda ids: model(ids))(tf.constant([1, 2]))
    assert isinstance(caught.value, Exception)
    return caught.value


def test_an_error_is_taken_out_of_those_around_it() -> None:
    error = raised_in_a_model(InNumpy)
    assert len(str(error).splitlines()) > 3
    inner = unwrapped(error)
    assert str(inner).startswith("Cannot convert a symbolic tf.Tensor") and "\n" not in unexpected(inner)
    refused = unwrapped(raised_in_a_model(Narrow))
    assert isinstance(refused, RequestError)
    assert str(refused).endswith(
        "test_errors.py: combine() gives the shape (2, 3); its last axis must be embedding_dim=4"
    )


def test_an_error_of_one_line_stays_as_it_is() -> None:
    try:
        try:
            raise KeyError("num_rows")
        except KeyError as inner:
            raise RequestError("conf/x.yaml: 'num_rows': missing") from inner
    except RequestError as error:
        assert unwrapped(error) is error


def test_an_unexpected_error_names_the_place_in_bench() -> None:
    with pytest.raises(IndexError) as caught:
        Full(Vocabulary("item", 5), 4)(np.array([1]), {"table": np.float32(1)})
    place, _, rest = unexpected(caught.value).partition(": ")
    assert place.startswith("bench/embeddings/base.py, line ") and rest.startswith("IndexError: ")
    assert unexpected(ValueError("two\nlines")) == "ValueError: two lines"


def passed_over(number: int) -> None:
    """A signal in the middle of what OmegaConf does: its handler's error is lost."""

    class Settings:
        def __getattr__(self, name: str) -> object:
            try:
                interrupt(number)
            except KeyboardInterrupt as error:
                raise AttributeError(name) from error

    assert getattr(Settings(), "name", None) is None


def test_a_signal_that_a_library_has_passed_over_is_raised_once_more() -> None:
    passed_over(15)
    with pytest.raises(Interrupted) as raised:
        end_if_asked()
    assert raised.value.number == 15
    end_if_asked()


def test_no_run_of_a_sweep_begins_after_it() -> None:
    passed_over(15)
    with pytest.raises(Interrupted):
        SweepBoard([("seed=0",)]).started(0, ("seed=0",))
