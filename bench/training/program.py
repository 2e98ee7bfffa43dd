"""Functions that XLA compiles once: once in a process, and once on a machine where compiled programs are kept.

TensorFlow names a traced function by a number that counts what the process has made before, and XLA knows a compiled
program by that name. So the same function, traced in the second run of a process or in another order of runs, is
compiled again. Here a traced function is registered once more under a name made from a digest of all that it computes.
Equal names then mean equal programs: XLA finds what an earlier run has compiled, in memory or on disk, and can never
find another one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from bench import backend

GRADIENT_NAME = "_gradient_op_type"
"""Attribute that names a Python function by a running number. Only tracing reads it."""


class Functions(Protocol):
    """The part of TensorFlow's eager context that calls functions by name."""

    def add_function_def(self, fdef: Any) -> None:
        """Registers a function; an equal one may be registered already."""

    def call_function(self, name: bytes, tensor_inputs: list[Any], num_outputs: int) -> list[Any]:
        """Calls a registered function."""


def functions() -> Functions | None:
    """TensorFlow's eager context; None where this version of TensorFlow has no such interface.

    TensorFlow offers no public way to call a function by a chosen name. Without this one, each run compiles anew.
    """
    try:
        from tensorflow.python.eager.context import context

        found: Functions = context()
        return found if callable(found.add_function_def) and callable(found.call_function) else None
    except (ImportError, AttributeError):
        return None


class Program:
    """A function of tensors that is traced once for each set of shapes.

    Args:
        function: takes and returns nests of tensors. It makes no variables.
        jit: compile it with XLA.
    """

    def __init__(self, function: Callable[..., Any], jit: bool) -> None:
        self._function = function
        self._plain = tf.function(function, autograph=False, jit_compile=jit or None)
        self._functions = functions() if jit else None
        self._traced: dict[tuple[Any, ...], _Traced] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function; NumPy arrays are taken for tensors."""
        if self._functions is None:
            return self._plain(*arguments)
        tensors = [tf.convert_to_tensor(value) for value in tf.nest.flatten(arguments)]
        key = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        traced = self._traced.get(key)
        if traced is not None:
            return traced.call(self._functions, tensors)
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
        traced = self._traced[key] = _Traced.of(self._function, tf.nest.pack_sequence_as(arguments, specs))
        return traced.first_call(self._functions, tensors)


@dataclass
class _Traced:
    """A function traced for one set of shapes.

    Attributes:
        concrete: the function as traced. It holds the variables that are read and written.
        definitions: of the function, and of all that it calls, under canonical names.
        name: of the function among them.
    """

    concrete: Any
    definitions: list[Any]
    name: str

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: Any) -> _Traced:
        def flat(*tensors: Any) -> Any:
            return function(*tf.nest.pack_sequence_as(arguments, tensors))

        made = tf.function(flat, autograph=False, jit_compile=True)
        concrete = made.get_concrete_function(*tf.nest.flatten(arguments))
        called = concrete.graph.as_graph_def().library.function
        definitions = canonical([concrete.function_def, *called])
        return cls(concrete, definitions, definitions[0].signature.name)

    def first_call(self, functions: Functions, tensors: list[Any]) -> Any:
        """Registers the function, and calls it for the first time: it is compiled, or found compiled."""
        exchange = backend.exchange()
        for definition in self.definitions:
            functions.add_function_def(definition)
        with exchange.open(self.name) if exchange is not None else nullcontext():
            return self.call(functions, tensors)

    def call(self, functions: Functions, tensors: list[Any]) -> Any:
        inputs = [*tensors, *self.concrete.captured_inputs]
        found = functions.call_function(self.name.encode(), inputs, len(self.concrete.outputs))
        return tf.nest.pack_sequence_as(self.concrete.structured_outputs, found)


def canonical(definitions: Iterable[Any]) -> list[Any]:
    """Functions with names that depend on their computation alone.

    Args:
        definitions: ``FunctionDef``s, first the one that is called; they are changed.

    Returns:
        It, and those that it calls, directly or not.
    """
    by_name = {definition.signature.name: definition for definition in definitions}
    order: dict[str, None] = {}
    waiting = [next(iter(by_name))]
    while waiting:
        name = waiting.pop()
        if name in order:
            continue
        order[name] = None
        called = [f for node in by_name[name].node_def for f in _called(node)]
        waiting.extend(f.name for f in reversed(called) if f.name in by_name)
    ordered = [by_name[name] for name in order]
    _rename(ordered, {name: f"function_{number}_" for number, name in enumerate(order)})
    digest = hashlib.sha256()
    for definition in ordered:
        digest.update(definition.SerializeToString(deterministic=True))
    names = {f"function_{n}_": f"program_{digest.hexdigest()[:32]}_{n}" for n in range(len(ordered))}
    _rename(ordered, names)
    return ordered


def _called(node: Any) -> list[Any]:
    """The functions that a node names, in a fixed order."""
    values = [node.attr[key] for key in sorted(node.attr)]
    return [f for value in values for f in ([value.func] if value.HasField("func") else value.list.func)]


def _rename(definitions: Iterable[Any], names: Mapping[str, str]) -> None:
    """Replaces functions' names wherever they occur: nodes and arguments too are named after functions."""
    # the longest first: one name may begin with another
    pattern = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))

    def renamed(text: str) -> str:
        return pattern.sub(lambda match: names[match.group()], text)

    for definition in definitions:
        signature = definition.signature
        for part in (signature, *signature.input_arg, *signature.output_arg, *definition.node_def):
            part.name = renamed(part.name)
        for node in definition.node_def:
            node.attr.pop(GRADIENT_NAME, None)
            node.input[:] = map(renamed, node.input)
            for function in _called(node):
                function.name = renamed(function.name)
        for pairs in (definition.ret, definition.control_ret):
            found = {renamed(key): renamed(value) for key, value in pairs.items()}
            pairs.clear()
            pairs.update(found)
        signature.control_output[:] = map(renamed, signature.control_output)
