"""Variables that hold a method's arrays: their types and initial values.

The types are those that the method describes, whatever the dtype policy. But TensorFlow keeps int32 variables on the
processor, where programs that are compiled for a GPU cannot read them. So where there is a GPU, int32 arrays are held
as int64.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bench import backend
from bench.embeddings.base import Array, Method
from bench.embeddings.trial import source
from bench.errors import RequestError


def check_name(name: str) -> None:
    """Refuses names of layers with other letters than TensorFlow takes where it compiles a model.

    Raises:
        RequestError: names the letters that it takes.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise RequestError(
            f"name={name}: TensorFlow compiles no layer of that name; give letters of A-Z a-z 0-9 _ . - alone (field= "
            "takes any name)"
        )


def check_policy(layer: keras.layers.Layer) -> None:
    """Refuses the policies that make Keras's own layers quantize their weights.

    Raises:
        RequestError: names the policy, and what quantizes here.
    """
    if layer.quantization_mode is not None:
        raise RequestError(
            f"layer {layer.name}: dtype={layer.dtype_policy.name}: quantizes layers of Keras; give a policy of floats, "
            "such as mixed_bfloat16, and a method that quantizes, such as ptq_int8"
        )


def dtype_of(array: Array) -> str:
    """The type of the variable that holds an array."""
    wide = (
        array.dtype == "int32" and keras.config.backend() == "tensorflow" and backend.gpu_name() is not None
    )
    return "int64" if wide else array.dtype


def initializer(form: Method[Any], array: Array, seed: int | None) -> Any:
    """The Keras initializer of an array of a form. With a seed it draws by the names of field and array alone.

    Raises:
        RequestError: Keras has no such initializer.
    """
    try:
        made = keras.initializers.get(array.initializer if array.trainable else "zeros")
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"{source(form)}: {array.name}: initializer={array.initializer!r}: Keras has no such initializer"
        ) from error
    config = made.get_config()
    if seed is not None and "seed" in config:
        names = f"{form.vocabulary.name}/{array.name}".encode()
        config["seed"] = zlib.crc32(names, seed & 0xFFFFFFFF) & 0x7FFFFFFF
        made = type(made).from_config(config)
    return made


def constant(value: np.ndarray) -> Callable[[Any, Any], Any]:
    """An initializer that sets a value. An assignment inside a traced function would become part of that function."""
    return lambda shape, dtype: ops.convert_to_tensor(value, dtype)


def widened(arrays: Iterable[Array]) -> dict[str, str]:
    """The described types of the arrays whose variables have another, by name."""
    return {array.name: array.dtype for array in arrays if dtype_of(array) != array.dtype}


def values(variables: Mapping[str, Any], widened: Mapping[str, str]) -> dict[str, np.ndarray]:
    """NumPy arrays of variables, in the types that the method describes."""
    found = {name: _numpy(variable) for name, variable in variables.items()}
    return found | {name: found[name].astype(dtype) for name, dtype in widened.items() if name in found}


def _numpy(variable: Any) -> np.ndarray:
    """A copy of a variable. Keras's own conversion copies it twice with TensorFlow."""
    by_tensorflow = keras.backend.backend() == "tensorflow"
    found: np.ndarray = variable.value.numpy() if by_tensorflow else ops.convert_to_numpy(variable)
    return found


def tensors(variables: Mapping[str, Any], widened: Mapping[str, str]) -> dict[str, Any]:
    """Tensors of variables, in the types that the method describes."""
    found = {name: ops.convert_to_tensor(variable) for name, variable in variables.items()}
    return found | {name: ops.cast(found[name], dtype) for name, dtype in widened.items() if name in found}
