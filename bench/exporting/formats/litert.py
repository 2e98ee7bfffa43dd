"""``model.tflite``: lookups and the model for LiteRT (TensorFlow Lite), as signatures.

Only LiteRT's own operations are used, so that its small runtime suffices. A method that needs others is left out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import line
from bench.exporting.formats.base import IDS, PREDICT, VECTORS, Operands, Written, signature
from bench.models.inputs import DENSE
from bench.serving.layout import FIELDS, HEAD
from bench.serving.manifest import Manifest

if TYPE_CHECKING:
    from bench.exporting.content import Content
    from bench.trained import Trained

FILE, PREDICTION = "model.tflite", "prediction"
"""Names of the file, and of the output of ``predict``."""

MOST_BYTES = 2_000_000_000
"""Most bytes of arrays that are tried: a file of this format has at most 2 GiB."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OPERATIONS = re.compile(r"(?:TF Select|Custom) ops: ([\w, ]+)")


def write(folder: Path, trained: Trained, found: Content) -> Written:
    """Writes the signatures that can be converted.

    Args:
        folder: the folder.
        trained: the trained model; not used.
        found: what the export holds.
    """
    size = found.nbytes(FIELDS) + found.nbytes(HEAD)
    if size > MOST_BYTES:
        return Written([], {"": f"its {size} bytes of arrays are more than a file of LiteRT holds"})
    left_out = _left_out(found)
    names = [name for name in (*found.forms, PREDICT) if name not in left_out]
    made = _converted(found, names)
    if isinstance(made, str):  # tell the fields that do from those that do not
        tried = {name: _converted(found, [name]) for name in names if name != PREDICT}
        left_out |= {name: why for name, why in tried.items() if isinstance(why, str)}
        if PREDICT in names:
            wrong = [name for name in tried if name in left_out]
            left_out[PREDICT] = f"it needs {', '.join(wrong)}" if wrong else made
        names = [name for name in names if name not in left_out]
        made = _converted(found, names) if names else ""
    if isinstance(made, str):
        return Written([], left_out | dict.fromkeys(names, made))
    (folder / FILE).write_bytes(made)
    return Written([FILE], left_out)


def _left_out(found: Content) -> dict[str, str]:
    """Lists what is not tried, with the reason."""
    odd = [name for name in found.forms if not _NAME.fullmatch(name)]
    left_out = {name: f"TensorFlow takes no signature of the name {signature(name)!r}" for name in odd}
    if found.described.head is None:
        left_out[PREDICT] = found.described.left_out.get(PREDICT, "the export has no model")
    elif odd:
        left_out[PREDICT] = f"TensorFlow takes no input of the name {odd[0]!r}"
    return left_out


def _converted(found: Content, names: Collection[str]) -> bytes | str:
    """Converts signatures of fields and of ``predict``. Gives the file's content, or why there is none."""
    import tensorflow as tf

    from bench import backend

    with backend.quiet(), tempfile.TemporaryDirectory() as place:
        try:
            made = _Signatures(found)
            functions = {PREDICT if name == PREDICT else signature(name): made.of(name) for name in names}
            tf.saved_model.save(made.module, place, signatures=functions)
            converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=[*functions])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            content: bytes = converter.convert()
            return content
        except Exception as error:  # whatever a method of one's own makes of the converter
            operations = _OPERATIONS.search(str(error))
            if operations is not None:
                return f"LiteRT has no operation {operations[1].strip()} of its own"
            return f"it cannot be converted ({line(error)[:200]})"


class _Signatures:
    """Functions of TensorFlow over variables that are held once.

    Args:
        found: what the export holds.
    """

    def __init__(self, found: Content) -> None:
        import tensorflow as tf

        self.found, self.module = found, tf.Module()
        self._held: Operands = {}
        self.module.held = self._held

    def of(self, name: str) -> Any:
        """Makes the function of a field, or of ``predict``."""
        import tensorflow as tf

        described = self.found.described
        if name != PREDICT:
            self._hold(self._place(name))
            specs: Any = tf.TensorSpec([None], tf.int64, IDS)
            return tf.function(
                lambda ids: {VECTORS: self._vectors(name, ids)[0]}, input_signature=[specs], autograph=False
            )
        for field in described.fields:
            self._hold(self._place(field))
        self._hold(f"{HEAD}/")
        specs = {field: tf.TensorSpec([None], tf.int64, field) for field in described.fields}
        if described.dense:
            specs[DENSE] = tf.TensorSpec([None, len(described.dense)], tf.float32, DENSE)
        return tf.function(
            lambda given: {PREDICTION: self._prediction(given)}, input_signature=[specs], autograph=False
        )

    def _place(self, name: str) -> str:
        """Gives the start of the names of a field's arrays."""
        return f"{FIELDS}/{self.found.forms[name].vocabulary.name}/"

    def _hold(self, start: str) -> None:
        import tensorflow as tf

        for array in self.found.wanted:
            if array.name.startswith(start) and array.name not in self._held:
                self._held[array.name] = tf.Variable(self.found.arrays[array.name], trainable=False)
        self.module.held = self._held

    def _below(self, start: str) -> Operands:
        held = {key: value for key, value in self._held.items() if key.startswith(start)}
        return {key.removeprefix(start): value.read_value() for key, value in held.items()}

    def _vectors(self, name: str, ids: Any) -> tuple[Any, Any, Any]:
        """Gives vectors, row numbers, 0 in place of those outside, and which were inside."""
        import tensorflow as tf

        from bench.exporting.formats import builtin_ops as xp
        from bench.exporting.formats import inside

        rows, is_inside = inside.rows(ids, self.found.described.fields[name].size)
        form = self.found.forms[name]
        offset = form.vocabulary.member(name).offset
        own = form(rows + offset if offset else rows, self._below(self._place(name)), xp)
        vectors = tf.cast(own, tf.float32)
        return inside.or_nan(vectors, is_inside), rows, is_inside

    def _prediction(self, given: Operands) -> Any:
        import tensorflow as tf

        from bench.exporting.formats import builtin_ops as xp
        from bench.exporting.formats import inside
        from bench.serving import heads
        from bench.serving.tables import head_of

        described = self.found.described
        head = head_of(described)
        assert head is not None
        assert described.head is not None
        parts = {name: self._vectors(name, given[name]) for name in described.fields}
        dense = given.get(DENSE, np.zeros((1, 0), np.float32))
        vectors, rows = ({name: part[place] for name, part in parts.items()} for place in (0, 1))
        score = head.score(heads.Batch(vectors, rows, dense, xp), self._below(f"{HEAD}/"))
        all_inside = tf.reduce_all(tf.stack([part[2] for part in parts.values()]), axis=0)
        return inside.or_nan(heads.scaled(score, described.head.label_range, xp), all_inside)


class Reader:
    """Computes by LiteRT; see ``bench.exporting.formats.base.Reader``."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(folder / FILE))

    def vectors(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Looks up vectors."""
        found: np.ndarray = self._interpreter.get_signature_runner(signature(name))(**{IDS: rows})[VECTORS]
        return found

    def predict(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output."""
        given = {**rows, DENSE: dense} if dense.shape[1] else {**rows}
        found: np.ndarray = self._interpreter.get_signature_runner(PREDICT)(**given)[PREDICTION]
        return found
