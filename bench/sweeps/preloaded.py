"""The imports of all workers. They happen once, in the process that the workers are forked from."""

import os
import signal

for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # ignored, because this process ends soon after the command
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)

with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - for its descriptor
    # so that a reader of the command's output need not wait for the end of this process
    for stream in (1, 2):
        os.dup2(nothing.fileno(), stream)

from bench import backend, experiment, models  # noqa: F401, E402
from bench.sweeps import jobs  # noqa: F401, E402

backend.load()

from bench.training import lookup, progress, serving, trainer, weights  # noqa: E402, F401
