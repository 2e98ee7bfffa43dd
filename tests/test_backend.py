"""What ``backend.start`` does with GPUs; a made-up one takes the place of a real one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench import backend


@pytest.mark.parametrize("late", [False, True])
def test_a_gpu_multiplies_in_float32(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    grown = []

    def grow(gpu: object, value: bool) -> None:
        if late:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        grown.append((gpu, value))

    gpu = SimpleNamespace(name="a GPU", device_type="GPU")
    experimental = tf.config.experimental
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [gpu])
    monkeypatch.setattr(experimental, "set_memory_growth", grow)
    before = experimental.tensor_float_32_execution_enabled()
    try:
        experimental.enable_tensor_float_32_execution(True)
        backend._use_gpus()
        assert not experimental.tensor_float_32_execution_enabled()
        assert grown == [] if late else [(gpu, True)]
    finally:
        experimental.enable_tensor_float_32_execution(before)


def test_without_a_gpu_the_precision_stays() -> None:
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    backend._use_gpus()
    assert tf.config.experimental.tensor_float_32_execution_enabled() == before
