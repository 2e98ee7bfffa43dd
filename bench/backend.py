"""Starting Keras on TensorFlow: quietly, on some threads, from a seed, and independent of the user's own settings."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import compiled
from bench.errors import RequestError
from bench.measure.environment import cores

FLOATX, EPSILON, IMAGE_DATA_FORMAT = "float32", 1e-7, "channels_last"
"""Keras's own defaults. A ``keras.json`` or a call may have changed them, and results would depend on it."""

XLA_FLAGS = "TF_XLA_FLAGS"
"""Environment variable: flags that TensorFlow reads once, when a process first computes."""

CACHE_FLAG = "--tf_xla_persistent_cache_directory"

_exchange: compiled.Exchange | None = None
_started = False


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what native code writes to standard error off the terminal; shows it if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Makes packages that are not imported yet look as if they were not installed."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def kept() -> Iterator[None]:
    """At the end of a block, restores what ``start`` and imports change of the process and a caller may rely on.

    These are environment variables, Keras's defaults, the level of TensorFlow's logger, and the states of the random
    numbers of Python and NumPy. Not restored are the number of threads, which TensorFlow fixes once, the seed of
    TensorFlow's random numbers, the precision of a GPU, and the names that Keras gives to new layers.
    """
    import numpy as np

    variables_before = dict(os.environ)
    logger = logging.getLogger("tensorflow")
    level, states = logger.level, (random.getstate(), np.random.get_state())  # noqa: NPY002
    keras = sys.modules.get("keras")
    defaults = _defaults(keras) if keras else None
    try:
        yield
    finally:
        for name in os.environ.keys() - variables_before.keys():
            del os.environ[name]
        os.environ.update(variables_before)
        logger.setLevel(level)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        if keras and defaults:
            _set_defaults(keras, *defaults)


def load() -> None:
    """Imports Keras on TensorFlow, and computes nothing: a process may still be forked after it."""
    if {"keras", "tensorflow"} <= sys.modules.keys():
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow's own allocator never gives memory back, and the first values of a table take three times their bytes.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # A folder that cannot exist: Keras then reads no keras.json, which may hold what ends the import, and writes none.
    # Scikit-learn and Matplotlib are left out: where installed, Keras imports them, and takes half as long again.
    with variables({"KERAS_HOME": os.devnull}), quiet(), absent("sklearn", "matplotlib"):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    gc.freeze()  # imported objects stay: the garbage collector need not look at them again


def load_defaults() -> None:
    """Imports Keras on TensorFlow, and sets Keras's own defaults.

    Raises:
        RequestError: Keras runs on another backend.
    """
    load()
    import keras

    if keras.config.backend() != "tensorflow":
        raise RequestError(
            f"KERAS_BACKEND={keras.config.backend()}: this process has imported Keras on another backend than "
            "TensorFlow; import bench first, or set KERAS_BACKEND=tensorflow"
        )
    _set_defaults(keras, FLOATX, EPSILON, IMAGE_DATA_FORMAT, FLOATX)


def _defaults(keras: ModuleType) -> tuple[Any, ...]:
    config = keras.config
    return config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy()


def _set_defaults(
    keras: ModuleType, floatx: str, epsilon: float, image_data_format: str, policy: Any
) -> None:
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(image_data_format)
    keras.config.set_dtype_policy(policy)


def start(seed: int, threads: int | None, data_dir: Path | None = None) -> None:
    """Readies Keras on TensorFlow and forgets what an earlier run in this process left.

    Args:
        seed: of all initial values and of dropout.
        threads: how many TensorFlow may use; None for one a core. Fixed once a process has computed anything.
        data_dir: compiled programs are kept below it; None to keep none. The first call in a process decides.

    Raises:
        RequestError: this process already computes with another number of threads, or Keras runs on another backend.
    """
    load_defaults()
    import keras
    import tensorflow as tf

    with quiet(), variables(_compiler_flags(threads or cores(), data_dir)):
        # Each run of a sweep compiles its own loop, which TensorFlow takes for a mistake.
        tf.get_logger().setLevel("ERROR")
        _use_threads(threads)
        _use_gpus()
        tf.zeros(1)  # devices are set up now, while nothing they say is shown
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def exchange() -> compiled.Exchange | None:
    """The store of compiled programs that this process reads and fills; None if it keeps none."""
    return _exchange


def gpu_name() -> str | None:
    """The first GPU's name; None without a GPU."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return None


def _use_gpus() -> None:
    """Has TensorFlow take a GPU's memory as it needs it, and multiply in float32 there, as a processor does."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # A caller that has computed with TensorFlow before has chosen already.
        with suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        # By default factors lose 13 of 23 bits: results of a GPU would not be those of a processor.
        tf.config.experimental.enable_tensor_float_32_execution(False)


def _use_threads(threads: int | None) -> None:
    import tensorflow as tf

    config = tf.config.threading
    if threads is None or threads == config.get_intra_op_parallelism_threads():
        return
    try:
        config.set_intra_op_parallelism_threads(threads)
        config.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        raise RequestError(
            f"training.threads={threads}: this process has begun with another number of threads, which "
            "TensorFlow cannot change; give each number a command of its own"
        ) from None


def _compiler_flags(threads: int, data_dir: Path | None) -> dict[str, str]:
    """The environment variable that has TensorFlow look for compiled programs in this process's exchange.

    Programs of processors alone are kept: those of a GPU depend on measurements that are made when they are compiled.
    """
    global _exchange, _started
    if _started:
        return {}
    _started = True
    given = os.environ.get(XLA_FLAGS, "").strip()
    # A user's own folder wins. Flags may also be the name of a file, to which nothing can be added.
    if data_dir is None or CACHE_FLAG in given or (given and not given.startswith("-")):
        return {}
    import tensorflow as tf

    build = f"{tf.version.GIT_VERSION} {tf.version.COMPILER_VERSION}"
    _exchange = compiled.exchange(data_dir, threads, build)
    if _exchange is None:
        return {}
    quote = "'" if '"' in str(_exchange.folder) else '"'
    if quote in str(_exchange.folder) or "\n" in str(_exchange.folder):
        _exchange = None  # TensorFlow could not read the folder's name
        return {}
    own = f"{CACHE_FLAG}={quote}{_exchange.folder}{quote} --tf_xla_persistent_cache_device_types=CPU"
    return {XLA_FLAGS: f"{own} {given}"}
