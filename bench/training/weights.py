"""A model's weights as a file that any language reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bench.errors import RunFailed
from bench.results import WEIGHTS


def save_weights(model: Any, folder: Path) -> Path:
    """Writes all of a model's variables, id maps included, whole or not at all.

    Args:
        model: a built Keras model.
        folder: where ``weights.safetensors`` goes.

    Returns:
        The file; its arrays are named by the variables' paths (``user_embedding/quotient``).
    """
    arrays = {variable.path: np.ascontiguousarray(variable.numpy()) for variable in model.variables}
    path = folder / WEIGHTS
    temporary = folder / f".{WEIGHTS}.partial"
    try:
        save_file(arrays, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_weights(model: Any, folder: Path) -> None:
    """Gives a model's variables the values that ``save_weights`` left of an equal one.

    Raises:
        RunFailed: there are none, or of another model.
    """
    path = folder / WEIGHTS
    try:
        arrays = load_file(path)
        for variable in model.variables:
            variable.assign(arrays[variable.path])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunFailed(f"{path}: no weights of this model can be read from it ({error})") from error
