"""Results made by hand, for reports that nothing has to be trained for."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

from bench import results
from bench.config import compose

METHODS, SIZES, SEEDS = ("full", "qr", "md", "qr_md"), (0.3, 0.12, 0.05), range(5)
FULL_BYTES = 2_494_976


@functools.cache
def settings(*overrides: str) -> dict[str, Any]:
    return dict(compose(overrides).values)


def made(
    strategy: str = "full",
    seed: int = 0,
    mae: float | None = 0.7,
    size: float = 1.0,
    dataset: str = "synthetic",
    overrides: tuple[str, ...] = (),
    **changed: Any,
) -> dict[str, Any]:
    """A finished result; ``changed`` are keys of it."""
    budget = (f"budget={size}",) if size < 1 and strategy != "full" else ()
    own = copy.deepcopy(settings(f"dataset={dataset}", f"strategy={strategy}", *budget, *overrides))
    own["seed"] = seed
    used = {"method": strategy, "size": size, "table_updates": "deferred"}
    nbytes = int(FULL_BYTES * size)
    maps = 14_824 if "md" in strategy else 0
    values = {
        "status": "finished", "dataset": dataset, "strategy": strategy, "settings": own, "seed": seed,
        "embeddings": {"user": used, "item": used}, "fingerprint": f"{dataset} {strategy} {overrides} {size} {seed}",
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
    return results.complete(**{**values, **changed})


def sixty() -> list[dict[str, Any]]:
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
                out.append(
                    made(
                        strategy,
                        seed,
                        mae,
                        own,
                        "movielens_1m",
                        width,
                        step_time_ms=0.1 + rng.normal(0, 0.005),
                    )
                )
    return out
