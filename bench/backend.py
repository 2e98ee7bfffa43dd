"""Starting Keras on TensorFlow: quietly, with a number of threads, from a seed."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import RequestError


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


def load() -> None:
    """Imports Keras on TensorFlow, and computes nothing: a process may still be forked after it."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Keras takes them along where they are installed, for wrappers and plots: a third of the time it takes.
    with quiet(), absent("sklearn", "matplotlib"):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    gc.freeze()  # what was imported stays: forgetting an earlier run need not look through it


def start(seed: int, threads: int | None) -> None:
    """Readies Keras on TensorFlow and forgets what an earlier run in this process left.

    Args:
        seed: of all initial values and of dropout.
        threads: how many TensorFlow may use; None for one a core. Fixed once a process has computed anything.

    Raises:
        RequestError: this process already computes with another number of threads.
    """
    load()
    import keras
    import tensorflow as tf

    with quiet():
        # Each run of a sweep compiles its own loop, which TensorFlow takes for a mistake.
        tf.get_logger().setLevel("ERROR")

        config = tf.config.threading
        if threads is not None and threads != config.get_intra_op_parallelism_threads():
            try:
                config.set_intra_op_parallelism_threads(threads)
                config.set_inter_op_parallelism_threads(threads)
            except RuntimeError:
                raise RequestError(
                    f"training.threads={threads}: this process has begun with another number of threads, which "
                    "TensorFlow cannot change; give each number a command of its own"
                ) from None
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.zeros(1)  # devices are set up now, while nothing they say is shown
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def gpu_name() -> str | None:
    """The first GPU's name, or None where there is none."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return None
