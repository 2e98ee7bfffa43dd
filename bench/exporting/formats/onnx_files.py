"""ONNX: graphs that are made from the methods' descriptions, without TensorFlow.

Each field has a graph of its own, such as ``lookup_user.onnx``: ONNX Runtime wants all inputs of a graph and computes
all of its nodes, whichever output is asked for. ``model.onnx`` has an input for each field and one output. Graphs hold
operations alone. Their arrays lie in ``arrays.safetensors``, and the graphs say at which byte. So nothing is stored
twice, and a large table is mapped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import RunFailed, line
from bench.exporting.formats.base import IDS, PREDICT, VECTORS, Operands, Written
from bench.models.inputs import DENSE
from bench.serving.layout import ARRAYS, FIELDS, HEAD, Placed, header, placed
from bench.serving.manifest import Manifest

if TYPE_CHECKING:
    from bench.exporting.content import Content
    from bench.trained import Trained

MODEL, PREDICTION = "model.onnx", "prediction"
"""Names of the file of the model and of its output."""

_PLAIN = re.compile(r"[A-Za-z0-9_]{1,100}")


def lookup_file(name: str, fields: Collection[str]) -> str:
    """Gives the name of the file that looks up a field.

    Args:
        name: name of the field.
        fields: the names of all fields. A field has its number in place of a name that is no plain one, or that
            another field has in other letters, small or capital.
    """
    alike = [one for one in fields if one.casefold() == name.casefold()]
    if _PLAIN.fullmatch(name) and len(alike) == 1:
        return f"lookup_{name}.onnx"
    return f"lookup-{[*fields].index(name)}.onnx"


def write(folder: Path, trained: Trained, found: Content) -> Written:
    """Writes a graph for each field, and one for the model.

    Args:
        folder: the folder, which already has its arrays.
        trained: the trained model; not used.
        found: what the export holds.

    Raises:
        RunFailed: ONNX does not take a graph.
    """
    files: list[str] = []
    left_out: dict[str, str] = {}
    for name in found.forms:
        graph = _Graph(found)
        try:
            graph.outputs[VECTORS] = graph.vectors(name, IDS)[0]
        except Exception as error:  # whatever a method of one's own does with arrays of a graph
            method = found.described.fields[name].method
            left_out[name] = f"its method {method} makes no graph ({line(error)[:200]})"
            continue
        files.append(lookup_file(name, found.forms))
        _save(folder / files[-1], graph)
    if found.described.head is None:
        left_out[PREDICT] = found.described.left_out.get(PREDICT, "the export has no model")
    elif left_out:
        left_out[PREDICT] = f"it needs {', '.join(left_out)}"
    else:
        model = _Graph(found)
        prediction, output = model.prediction(), PREDICTION
        while output in model.inputs:  # a field has this name
            output += "_"
        model.outputs[output] = prediction
        _save(folder / MODEL, model)
        files.append(MODEL)
    return Written(files, left_out)


class _Graph:
    """A graph that grows.

    Args:
        found: what the export holds.
    """

    def __init__(self, found: Content) -> None:
        self.found = found
        self.inputs: Operands = {}
        self.arrays: dict[str, Placed] = {}
        self.outputs: Operands = {}
        places = placed(found.wanted)
        self.start = len(header(places))
        self._places = {place.array.name: place for place in places}

    def vectors(self, name: str, given: str) -> tuple[Any, Any, Any]:
        """Adds the lookup of a field.

        Args:
            name: name of the field.
            given: name of the input, int64 (n,).

        Returns:
            Vectors, float32 (n, embedding_dim); row numbers, 0 in place of those outside, int32 (n,); which were
            inside, bool (n,).
        """
        from bench.exporting.formats import graph_ops as xp

        form = self.found.forms[name]
        ids = self.inputs[given] = xp.operand(("rows",), "int64")
        inside = xp.logical_and(ids >= 0, ids < self.found.described.fields[name].size)
        rows = xp.cast(xp.where(inside, ids, 0), "int32")
        place, offset = f"{FIELDS}/{form.vocabulary.name}", form.vocabulary.member(name).offset
        arrays = {array.name: self._array(f"{place}/{array.name}") for array in form.arrays()}
        vectors = xp.cast(form(rows + np.int32(offset) if offset else rows, arrays, xp), "float32")
        return xp.where(xp.expand_dims(inside, -1), vectors, np.float32(np.nan)), rows, inside

    def prediction(self) -> Any:
        """Adds lookups of all fields and the model: (n,)."""
        from bench.exporting.formats import graph_ops as xp
        from bench.serving import heads
        from bench.serving.tables import head_of

        described = self.found.described
        head = head_of(described)
        assert head is not None
        assert described.head is not None
        vectors, rows, all_inside = {}, {}, None
        for name in described.fields:
            vectors[name], rows[name], inside = self.vectors(name, name)
            all_inside = inside if all_inside is None else xp.logical_and(all_inside, inside)
        dense: Any = np.zeros((1, 0), np.float32)
        if described.dense:
            dense = self.inputs[DENSE] = xp.operand(("rows", len(described.dense)), "float32")
        weights = {path: self._array(f"{HEAD}/{path}") for path in head.shapes()}
        score = head.score(heads.Batch(vectors, rows, dense, xp), weights)
        scaled = heads.scaled(score, described.head.label_range, xp)
        return xp.where(all_inside, scaled, np.float32(np.nan))

    def _array(self, name: str) -> Any:
        from bench.exporting.formats import graph_ops as xp

        if name not in self.arrays:  # fields that share a table read one array
            place = self.arrays[name] = self._places[name]
            self.inputs[name] = xp.operand(place.array.shape, place.array.dtype)
        return self.inputs[name]


def _save(path: Path, graph: _Graph) -> None:
    """Writes a graph whose arrays are parts of ``arrays.safetensors``, and has ONNX check it.

    Raises:
        RunFailed: the file is no valid ONNX.
    """
    import onnx

    from bench.exporting.formats import graph_ops as xp

    model = xp.build(graph.inputs, graph.outputs)
    model.producer_name = "embedding-bench"
    del model.metadata_props[:]  # the types of ndonnx, which are those of ONNX here
    order = [*graph.inputs]
    inputs = sorted(model.graph.input, key=lambda one: order.index(one.name))
    del model.graph.input[:]
    model.graph.input.extend(one for one in inputs if one.name not in graph.arrays)
    for one in inputs:
        if one.name not in graph.arrays:
            continue
        place = graph.arrays[one.name]
        kept = onnx.TensorProto(
            name=one.name, data_type=one.type.tensor_type.elem_type, dims=place.array.shape
        )
        if place.array.nbytes:
            kept.data_location = onnx.TensorProto.EXTERNAL
            entries = {"location": ARRAYS, "offset": graph.start + place.begin, "length": place.array.nbytes}
            for key, value in entries.items():
                kept.external_data.add(key=key, value=str(value))
        else:
            kept.raw_data = b""
        model.graph.initializer.append(kept)
    path.write_bytes(model.SerializeToString(deterministic=True))
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise RunFailed(f"formats=onnx: {path.name} is no valid ONNX ({line(error)[:300]})") from error


class Reader:
    """Computes by ONNX Runtime; see ``bench.exporting.formats.base.Reader``."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        self._folder, self._fields, self._sessions = folder, [*described.fields], Operands()

    def vectors(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Looks up vectors."""
        session = self._session(lookup_file(name, self._fields))
        found: np.ndarray = session.run([VECTORS], {IDS: rows})[0]
        return found

    def predict(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output."""
        given = {**rows, DENSE: dense} if dense.shape[1] else {**rows}
        found: np.ndarray = self._session(MODEL).run(None, given)[0]
        return found

    def _session(self, name: str) -> Any:
        if name not in self._sessions:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._sessions[name] = onnxruntime.InferenceSession(
                str(self._folder / name), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[name]
