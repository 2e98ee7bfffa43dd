"""The harness in one's own code: ``run``, ``sweep``, ``results`` and ``load``.

They do what the commands do, with the same settings, records and messages. What is wrong is raised as an error of
``bench.errors``. TensorFlow, MLflow and pandas are imported when they are needed, not with this package.
"""

from bench.api.frame import results
from bench.api.running import Run, run, sweep
from bench.api.weights import load

__all__ = ["Run", "load", "results", "run", "sweep"]
