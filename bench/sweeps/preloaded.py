"""What all workers import: once, in the process that they are forked from."""

from bench import backend, command, models  # noqa: F401

backend.load()

from bench.training import lookup, progress, serving, trainer, weights  # noqa: E402, F401
