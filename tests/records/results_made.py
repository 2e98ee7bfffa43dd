"""A result to look at."""

VALUES = {
    "status": "finished",
    "task": "rating",
    "dataset": "movielens_1m",
    "strategy": "qr_md",
    "embeddings": {
        "user": {"method": "qr", "num_buckets": 120, "quotient_rows": 120},
        "item": {"method": "md", "block_splits": [400, 1700], "block_dims": [64, 32, 16]},
    },
    "seed": 0,
    "params_total": 117_968,
    "params_embedding": 117_968,
    "embedding_bytes": 483_072,
    "full_embedding_bytes": 2_494_976,
    "compression_ratio": 2_494_976 / 483_072,
    "val_mae": 0.73942,
    "val_rmse": 0.93,
    "val_constant": 0.934,
    "val_mae_by_decile": [0.71, None, 0.8],
    "step_time_ms": 0.1234,
    "examples_per_second": 1_037_277.1,
    "data_s": 0.41,
    "compile_s": 3.1,
    "train_s": 2.52,
    "total_s": 125.2,
    "peak_rss_bytes": 1_300_000_000,
}
