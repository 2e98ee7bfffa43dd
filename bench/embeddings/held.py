"""Variables that hold a method's arrays where a GPU lacks their type.

TensorFlow keeps int32 variables on the processor, where programs that are compiled for a GPU cannot read them. So where
there is a GPU, int32 arrays are held as int64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bench import backend
from bench.embeddings.base import Array


def dtype_of(array: Array) -> str:
    """The type of the variable that holds an array."""
    wide = (
        array.dtype == "int32" and keras.config.backend() == "tensorflow" and backend.gpu_name() is not None
    )
    return "int64" if wide else array.dtype


def widened(arrays: Iterable[Array]) -> dict[str, str]:
    """The described types of the arrays whose variables have another, by name."""
    return {array.name: array.dtype for array in arrays if dtype_of(array) != array.dtype}


def values(variables: Mapping[str, Any], widened: Mapping[str, str]) -> dict[str, np.ndarray]:
    """NumPy arrays of variables, in the types that the method describes."""
    found = {name: ops.convert_to_numpy(variable) for name, variable in variables.items()}
    return found | {name: found[name].astype(dtype) for name, dtype in widened.items() if name in found}


def tensors(variables: Mapping[str, Any], widened: Mapping[str, str]) -> dict[str, Any]:
    """Tensors of variables, in the types that the method describes."""
    found = {name: ops.convert_to_tensor(variable) for name, variable in variables.items()}
    return found | {name: ops.cast(found[name], dtype) for name, dtype in widened.items() if name in found}
