"""Runs as tests of MLflow log them."""

from bench.records.result import Result, Status
from bench.tracking.client import mlflow

NUMBERS = {
    "val_mae": 0.6,
    "val_rmse": 0.875,
    "bytes": {"tables": 4, "maps": 0},
    "history": {"val_mae": [0.75, 0.6], "train_loss": [1.5, 1.25]},
}


def head(fingerprint, **values):
    """What is known of a run before training."""
    known = {
        "dataset": "synthetic",
        "strategy": "qr",
        "seed": 3,
        "embeddings": {"user": {"method": "qr", "num_buckets": 12}},
        "settings": {"seed": 3, "budget": None, "training": {"learning_rate": 0.001}},
    }
    return Result.of(Status.FINISHED, **{**known, "fingerprint": fingerprint, **values})


def leave(folder, result):
    """Leaves a run's files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text("a model\n")
    result.write(folder)
    return result


def finish(run, folder, first, **values):
    """Has a run end with numbers; returns its result."""
    result = Result.of(**{**first.values(), **NUMBERS, "run_id": run.run_id, **values})
    run.log_result(leave(folder, result), folder)
    return result


def run_in_mlflow(call, *arguments):
    """Calls a function in MLflow's process and waits for it."""
    return mlflow.submit(call, *arguments).result()
