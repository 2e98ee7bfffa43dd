"""A model's weights as a file that any language reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.trial import check_values
from bench.errors import RunFailed


def save_weights(model: Any, path: Path) -> None:
    """Writes all of a model's variables, id maps included, whole or not at all.

    Args:
        model: a built Keras model.
        path: a safetensors file. Its arrays are named by the variables' paths (``user_embedding/quotient``).

    Raises:
        OSError: the file cannot be written.
    """
    # Not np.ascontiguousarray, which makes an array of one number of a bare number.
    arrays = {variable.path: np.asarray(variable.numpy(), order="C") for variable in model.variables}
    temporary = path.with_name(f".{path.name}.partial")
    try:
        save_file(arrays, temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: Any, path: Path) -> None:
    """Gives a model's variables the values that ``save_weights`` left of an equal one.

    Raises:
        RunFailed: the file is missing, or of another model.
    """
    start_from(path, model, {}, 0)


def start_from(path: Path, model: Any, layers: Mapping[str, CompressedEmbedding], seed: int) -> None:
    """Gives a model's variables the values that ``save_weights`` left of its parent.

    A layer whose method is trained on from its parent gets the arrays of the method's ``start``.

    Args:
        path: the parent's weights.
        model: a built Keras model.
        layers: its embedding layer of each field.
        seed: seed of all random draws, such as the starts of a clustering.

    Raises:
        RunFailed: the file is missing, or of another model.
    """
    started = [layer for layer in layers.values() if layer.method.parent() and layer.method.is_trained()]
    own = {variable.path for layer in started for variable in layer.variables}
    try:
        arrays = load_file(path)
        for variable in model.variables:
            if variable.path not in own:
                variable.assign(arrays[variable.path])
        parents = [_of_parent(layer, arrays) for layer in started]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunFailed(f"{path}: no weights of this model can be read from it ({error})") from error
    for layer, trained in zip(started, parents, strict=True):
        start = layer.method.start(trained, layer.method.vocabulary.generator(seed))
        check_values(layer.method, "start", start, layer.method.arrays())
        layer.set_arrays(start)


def _of_parent(layer: CompressedEmbedding, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gives the arrays of the method's parent by its names for them."""
    parent, found = layer.method.parent(), {}
    assert parent is not None
    for array in parent.arrays():
        value = weights[f"{layer.name}/{array.name}"]
        if value.shape != array.shape:
            raise ValueError(f"{layer.name}/{array.name} has the shape {value.shape}, not {array.shape}")
        found[array.name] = value.astype(array.dtype, copy=False)
    return found


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found
