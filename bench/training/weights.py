"""A model's weights as a file that any language reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

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
    try:
        arrays = load_file(path)
        for variable in model.variables:
            variable.assign(arrays[variable.path])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunFailed(f"{path}: no weights of this model can be read from it ({error})") from error


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found
