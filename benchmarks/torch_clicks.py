"""A plain loop in PyTorch for the DLRM of ``benchmarks.clicks``, which the harness's step is compared with.

``python -m benchmarks.torch_clicks SCALE BATCH_SIZE sparse|dense STEPS`` prints milliseconds a step. ``sparse`` has
tables with sparse gradients and ``SparseAdam`` for them, ``dense`` one Adam for all. It is a separate process, because
some builds of PyTorch crash beside TensorFlow.
"""

from __future__ import annotations

import itertools
import sys
import time

from benchmarks.clicks import DENSE, criteo

WIDTH, UNITS = 16, (512, 256)


def measure(scale: float, batch_size: int, is_sparse: bool, steps: int) -> float:
    """Measures a training step in milliseconds, after a quarter as many steps that are not counted.

    Args:
        scale: sizes of the fields as a share of Criteo's.
        batch_size: rows of a step.
        is_sparse: the tables have sparse gradients.
        steps: number of timed steps.

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch
    from torch import nn

    data = criteo(scale)
    torch.manual_seed(0)
    ids = [torch.tensor(column).long() for column in data.train.ids.values()]
    assert data.train.dense is not None
    numbers, labels = torch.tensor(data.train.dense), torch.tensor(data.train.labels)
    tables = nn.ModuleList(
        nn.Embedding(field.size, WIDTH, sparse=is_sparse) for field in data.fields.values()
    )

    def network(width: int, out: int) -> nn.Sequential:
        sizes = (width, *UNITS)
        hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Linear(sizes[-1], out))

    count = len(tables) + 1
    upper = torch.triu_indices(count, count, 1)
    bottom, top = network(DENSE, WIDTH), network(upper.shape[1] + WIDTH, 1)
    head = [*bottom.parameters(), *top.parameters()]
    if is_sparse:
        optimizers = [torch.optim.SparseAdam(tables.parameters()), torch.optim.Adam(head)]
    else:
        optimizers = [torch.optim.Adam([*tables.parameters(), *head])]
    loss = nn.BCEWithLogitsLoss()
    batches = len(labels) // batch_size

    def step(number: int) -> None:
        at = slice(number % batches * batch_size, (number % batches + 1) * batch_size)
        below = torch.relu(bottom(numbers[at]))
        stacked = torch.stack(
            [below, *(table(column[at]) for table, column in zip(tables, ids, strict=True))], 1
        )
        products = (stacked @ stacked.transpose(1, 2))[:, upper[0], upper[1]]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss(top(torch.cat([products, below], 1))[:, 0], labels[at]).backward()
        for optimizer in optimizers:
            optimizer.step()

    for number in range(steps // 4):
        step(number)
    began = time.perf_counter()
    for number in range(steps):
        step(steps + number)
    return 1000 * (time.perf_counter() - began) / steps


if __name__ == "__main__":
    print(measure(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "sparse", int(sys.argv[4])))
