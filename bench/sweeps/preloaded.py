"""What all workers import: once, in the process that they are forked from."""

import os

with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - for its descriptor
    for stream in (1, 2):  # who reads what the command prints need not wait for this process to end
        os.dup2(nothing.fileno(), stream)

from bench import backend, command, models  # noqa: F401

backend.load()

from bench.training import lookup, progress, serving, trainer, weights  # noqa: E402, F401
