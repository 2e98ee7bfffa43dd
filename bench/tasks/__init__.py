"""Tasks: the loss that a model is trained on, its metrics, and which of them leads. One file a task."""

from __future__ import annotations

import importlib

from bench.tasks.base import Task

NAMES = ("rating", "click")
"""All tasks."""


def find(name: str) -> Task:
    """Gives the task of that name.

    Raises:
        KeyError: no task has that name.
    """
    if name not in NAMES:
        raise KeyError(f"{name}: no such task; the tasks are {', '.join(NAMES)}")
    task: Task = importlib.import_module(f"bench.tasks.{name}").TASK
    return task
