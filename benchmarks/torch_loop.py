"""A plain loop in PyTorch for the recipe's full model, which the harness's step is compared with.

Tables and Adam are dense. The rows are tensors in memory, shuffled once, and batches are slices of them. There is no
data loader, so that only the step is timed. ``python -m benchmarks.torch_loop ROWS.npz STEPS`` prints milliseconds a
step. It is a separate process, because some builds of PyTorch crash beside TensorFlow.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

BATCH_SIZE = 128
LEARNING_RATE = 0.001
WIDTH = 64


def measure(
    users: npt.NDArray[np.integer],
    items: npt.NDArray[np.integer],
    labels: npt.NDArray[np.floating],
    steps: int = 1000,
    warm_up: int = 200,
    threads: int | None = None,
    seed: int = 0,
) -> float:
    """Measures a training step in milliseconds.

    Args:
        users: ids from 0 on, (rows,). The table has a row for each id up to the largest.
        items: ids from 0 on, (rows,).
        labels: numbers from 0 to 5, (rows,).
        steps: number of timed steps. After the last row the first follows again.
        warm_up: steps before the timed ones.
        threads: threads that PyTorch computes with. None leaves the choice to PyTorch.
        seed: decides the initial tables and the order of the rows.

    Raises:
        ImportError: PyTorch is not installed. The message says how to install it.
        ValueError: there are fewer rows than a batch has.
    """
    torch = _torch()
    if len(labels) < BATCH_SIZE:
        raise ValueError(f"{len(labels)} rows: fewer than one batch of {BATCH_SIZE}")
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    order = torch.randperm(len(labels))
    user, item = (torch.tensor(np.asarray(ids, np.int64))[order] for ids in (users, items))
    label = torch.tensor(np.asarray(labels, np.float32))[order]
    tables = [torch.nn.Embedding(int(ids.max()) + 1, WIDTH) for ids in (user, item)]
    for table in tables:
        torch.nn.init.uniform_(table.weight, -0.05, 0.05)  # Keras's initializer, as in the recipe
    optimizer = torch.optim.Adam([table.weight for table in tables], lr=LEARNING_RATE)
    batches = len(label) // BATCH_SIZE

    def step(number: int) -> None:
        at = slice(number % batches * BATCH_SIZE, (number % batches + 1) * BATCH_SIZE)
        prediction = 5 * torch.sigmoid((tables[0](user[at]) * tables[1](item[at])).sum(1))
        loss = torch.nn.functional.mse_loss(prediction, label[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for number in range(warm_up):
        step(number)
    begin = time.perf_counter()
    for number in range(warm_up, warm_up + steps):
        step(number)
    return 1000 * (time.perf_counter() - begin) / steps


def is_there() -> bool:
    """Returns True if PyTorch is installed; prints its version, or how to install it."""
    if importlib.util.find_spec("torch") is None:
        print("PyTorch's loop is left out: PyTorch is not installed; pip install -e '.[torch]'")
        return False
    print(f"PyTorch {importlib.metadata.version('torch')}")
    return True


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"PyTorch is not installed ({error}); pip install -e '.[torch]'") from None
    return torch


if __name__ == "__main__":
    with np.load(sys.argv[1]) as rows:
        print(measure(rows["users"], rows["items"], rows["labels"], int(sys.argv[2])))
