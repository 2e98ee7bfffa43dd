"""Results made by hand, for reports that nothing has to be trained for."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from typing import Any

import numpy as np

from bench.config import compose
from bench.config.files import CONF
from bench.records.result import Result, Status
from bench.reporting.repeat import _defaults

METHODS, SIZES, SEEDS = ("full", "qr", "md", "qr_md"), (0.3, 0.12, 0.05), range(5)
FULL_BYTES = 2_494_976
CONSTANT = 0.93


@functools.cache
def composed(*overrides: str) -> dict[str, Any]:
    return dict(compose(overrides).values)


def settings(dataset: str, strategy: str, budget: float | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """What a run of these choices has; only strategies of several methods are composed each."""
    filed = (CONF / "strategy" / f"{strategy}.yaml").exists()
    chosen = (f"dataset={dataset}", *((f"strategy={strategy}",) if filed else ()), *overrides)
    own = copy.deepcopy(composed(*chosen))
    if not filed:
        own |= {
            "strategy": strategy,
            "embeddings": {**own["embeddings"], "default": dict(_defaults(strategy))},
        }
    return {**own, "budget": budget}


def made(
    strategy: str = "full",
    seed: int = 0,
    mae: float | None = 0.7,
    size: float = 1.0,
    dataset: str = "synthetic",
    overrides: tuple[str, ...] = (),
    budget: float | None = None,
    **changed: Any,
) -> Result:
    """A finished result; ``changed`` are keys of it."""
    if budget is None and size < 1 and strategy not in OWN_SIZE:
        budget = size
    own = {**settings(dataset, strategy, budget, overrides), "seed": seed}
    methods = ("qr", "md") if strategy == "qr_md" else (strategy, strategy)
    user, item = ({"method": method, "size": size, "table_updates": "deferred"} for method in methods)
    nbytes = int(FULL_BYTES * size)
    maps = 14_824 if "md" in strategy else 0
    values: dict[str, Any] = {
        "status": "finished", "dataset": dataset, "strategy": strategy, "settings": own, "seed": seed, "task": "rating",
        "embeddings": {"user": user, "item": item}, "fingerprint": f"{dataset} {strategy} {overrides} {size} {seed}",
        "data_digest": hashlib.sha256(json.dumps(own["dataset"]).encode()).hexdigest(), "val_constant": CONSTANT,
        "environment": {"processor": "p", "threads": 2, "jobs": 1, "gpu": None},
        "params_embedding": (nbytes - maps) // 4, "embedding_bytes": nbytes, "compression_ratio": FULL_BYTES / nbytes,
        "full_embedding_bytes": FULL_BYTES, "optimizer_bytes": 2 * nbytes, "val_mae": mae, "step_time_ms": 0.1,
        "bytes": {"tables": nbytes - maps, "networks": 0, "maps": maps, "codes": 0, "other": 0}, "lookup_us": 5.0,
    }  # fmt: skip
    if mae is not None:
        values |= {
            "val_rmse": mae + 0.2, "val_mae_by_decile": [mae + 0.01 * i for i in range(10)],
            "history": {"val_mae": [mae + 0.03, mae + 0.01, mae]},
        }  # fmt: skip
    values |= changed
    return Result.of(Status(values.pop("status")), **values)


def sixty() -> list[Result]:
    """4 methods x 3 sizes x 5 seeds; the sizes of ``full`` are widths of its vectors."""
    rng = np.random.default_rng(0)
    loss = {"full": 0.0, "qr": 0.05, "md": 0.007, "qr_md": 0.02}
    out = []
    for strategy in METHODS:
        for place, size in enumerate(SIZES):
            full = strategy == "full"
            own = 0.5**place if full else size
            for seed in SEEDS:
                mae = 0.6755 + loss[strategy] + 0.012 * float(np.log2(1 / own)) + rng.normal(0, 0.001)
                width = (f"embedding_dim={64 >> place}",) if full else ()
                step = 0.1 + rng.normal(0, 0.005)
                out.append(made(strategy, seed, mae, own, "movielens_1m", width, step_time_ms=step))
    return out


BUDGETS = (0.2, 0.1, 0.05, 0.02)

MOVIELENS_CONSTANT = 0.871
"""The mean absolute error of the median rating of MovieLens 1M."""

SIDE_BY_SIDE = {
    "hash": (0.8381, 0.8744, 0.8970, 0.9168), "qr": (0.7271, 0.7353, 0.7491, None),
    "ce": (0.7422, 0.7912, 0.8376, 0.8803), "bloom": (0.8324, 0.8707, 0.8934, 0.9200),
    "hash_embedding": (0.7434, 0.7399, 0.7724, 0.8111), "robe": (0.7311, 0.7580, 0.7834, 0.8138),
    "hashednet": (0.7307, 0.7516, 0.7657, 0.7875), "md": (0.6862, 0.6919, 0.7027, None),
    "adapt": (0.7985, 0.8467, 0.8787, 0.9016), "mgqe": (0.6794, 0.6838, 0.7072, 0.7235),
    "lowrank": (0.6865, 0.6929, 0.7087, 0.7405), "tt": (0.7103, 0.7158, 0.7341, 0.7797),
    "dhe": (0.7085, 0.7160, 0.7226, 0.7420), "dpq": (0.6790, 0.6839, 0.6910, 0.7026),
    "cce": (0.7295, 0.7606, 0.8138, 0.9057), "alpt": (0.6956, 0.7590, None, None),
    "deeplight": (0.7370, 0.7950, 0.9045, 1.0527), "pep": (0.7283, 0.8316, 1.0349, 1.2288),
    "ptq_int4": (0.6766, None, None, None), "pq": (0.6759, 0.6804, 0.6992, 0.7270),
    "svd": (0.6748, 0.6838, 0.7143, 0.7611), "prune": (1.0755, 1.2423, 1.3225, 1.3503),
}  # fmt: skip
"""Errors at ``BUDGETS``, those of docs/methods.md at MovieLens 1M."""

OWN_SIZE = {
    "full": (0.6757, 1.0), "int8": (0.6814, 4.0), "int16": (0.6757, 2.0), "float16": (0.6757, 2.0),
    "ptq_int8": (0.6757, 3.56),
}  # fmt: skip
"""Error and compression of the methods of one size."""


def side_by_side() -> list[Result]:
    """27 methods x 4 budgets x 3 seeds, with noise of some thousandths and sizes a little below the budgets."""
    rng = np.random.default_rng(1)
    found = [(name, error, 1 / times, None) for name, (error, times) in OWN_SIZE.items()]
    for name, errors in SIDE_BY_SIDE.items():
        for budget, error in zip(BUDGETS, errors, strict=True):
            if error is not None:
                found.append((name, error, budget * (1 - rng.choice([0, 0, 0.005, 0.05, 0.15])), budget))
    out = []
    for name, error, size, budget in found:
        step = 0.1 + 0.9 * rng.random() ** 4
        for seed in range(3):
            mae = float(error + rng.normal(0, 0.0005 + 0.01 * max(0, error - 0.7)))
            more = {"step_time_ms": step + rng.normal(0, 0.003), "lookup_us": 5 + 100 * rng.random() ** 4}
            more["val_constant"] = MOVIELENS_CONSTANT
            out.append(made(name, seed, mae, size, "movielens_1m", budget=budget, **more))
    return out
