"""Runs, records and trained models from one's own code: python docs/examples/own_code.py."""

import keras
import numpy as np

from bench import api
from bench.embeddings import Embedding

SMALL = {"num_users": 400, "num_items": 300, "num_ratings": 40_000}

# One run: that of python -m bench.run strategy=qr num_buckets=40 ... An equal run is not trained again.
run = api.run(strategy="qr", num_buckets=40, dataset=SMALL, training={"epochs": 3}, save_weights=True)
print(f"{run.result.strategy}: val_mae {run.result.val_mae:.4f} with {run.result.embedding_bytes:,} bytes")

# A sweep: all combinations of the lists' values. A budget that cannot be met is refused, and the others go on.
runs = api.sweep(strategy="md", budget=[0.2, 0.1, 0.01], dataset=SMALL, training={"epochs": 3})
for one in runs:
    print(one.overrides[1], one.result.status, one.result.val_mae)

# All records, as a pandas frame: one row a record.
frame = api.results(status="finished", dataset="synthetic")
print(
    frame.sort_values("val_mae")[["strategy", "budget", "embedding_bytes", "val_mae"]].to_string(index=False)
)

# The trained model, and the rows that it was measured on.
trained = api.load(run)
rows = trained.data.evaluation
predicted = trained.model.predict(trained.inputs(rows), verbose=0)
print(f"val_mae computed again: {np.mean(np.abs(predicted - rows.labels)):.4f}")

# The trained embeddings by field: the three items nearest to item 0, by cosine.
vectors = keras.ops.convert_to_numpy(trained.embeddings["item"](np.arange(300)))
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
print(f"nearest to item 0: {np.argsort(-vectors @ vectors[0])[1:4]}")

# The layer that compressed the users, untrained, in a model of one's own.
users = keras.Input((10,), dtype="int32")
layer = Embedding(vocabulary_size=400, embedding_dim=64, **run.result.embeddings["user"])
model = keras.Model(users, keras.layers.Dense(1)(keras.ops.mean(layer(users), axis=1)))
print(f"numbers of one's own model: {model.count_params():,}")
