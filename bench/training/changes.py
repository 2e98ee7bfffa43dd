"""Changes that methods make to their arrays between two steps: they prune, cluster, or give rows to other ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from bench.embeddings.base import Change, Progress
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.trial import check_change
from bench.training.layers import maps_of
from bench.training.loop import Loop


class Current(Mapping[str, np.ndarray]):
    """The current values of a layer's arrays, each read when it is first asked for.

    Args:
        layer: the layer.
        maps: those of its arrays that are known, by name.
        settle: makes the variables of trained arrays current. Called before one of them is read.
    """

    def __init__(
        self, layer: CompressedEmbedding, maps: Mapping[str, np.ndarray], settle: Callable[[], None]
    ) -> None:
        self._layer, self._settle = layer, settle
        self._arrays = {array.name: array for array in layer.form.arrays()}
        self._read = dict(maps)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            if self._arrays[name].trainable:
                self._settle()
            self._read.update(self._layer.arrays(name))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class Changes:
    """Asks methods if a change is due, and makes it.

    Args:
        layers: the layers that are trained, by key.
        maps: for each of them, the integer arrays that lookups on the host read. Changed here.
        loop: holds the trained arrays.
        renew: is called with the key of a layer whose lookups that were made ahead are no longer valid.
        steps: number of epochs, and steps of an epoch.
        seed: of what methods draw.
    """

    def __init__(
        self,
        layers: Mapping[str, CompressedEmbedding],
        maps: Mapping[str, dict[str, np.ndarray]],
        loop: Loop,
        renew: Callable[[str], None],
        steps: tuple[int, int],
        seed: int,
    ) -> None:
        self.layers, self.maps, self.loop, self.renew, self.seed = layers, maps, loop, renew, seed
        self.epochs, self.steps = steps
        self._settled = False
        self.progress = self._after(0, 0, 0)

    def _after(self, epochs: int, steps: int, previous: int) -> Progress:
        return Progress(
            step=epochs * self.steps + steps,
            steps=self.epochs * self.steps,
            epoch=epochs,
            epochs=self.epochs,
            epoch_ended=steps == 0,
            previous=previous,
        )

    def due(self, epochs: int, steps: int) -> dict[str, CompressedEmbedding]:
        """Returns the layers whose methods want a change after some epochs and, of the next one, some steps."""
        self.progress = self._after(epochs, steps, self.progress.step)
        return {key: layer for key, layer in self.layers.items() if layer.method.is_due(self.progress)}

    def go_on(self, epochs: int) -> None:
        """Continues after some epochs of a training whose state the layers have."""
        self.progress = self._after(epochs, 0, 0)
        for key, layer in self.layers.items():
            self.maps[key].update(maps_of(layer))

    def make(self, due: Mapping[str, CompressedEmbedding]) -> None:
        """Lets the methods of some layers change their arrays."""
        self._settled = False
        for number, (key, layer) in enumerate(due.items()):
            rng = np.random.default_rng([self.seed, number, self.progress.step])
            current = Current(layer, self.maps[key], self._settle)
            change = layer.method.change(self.progress, current, rng)
            check_change(layer.method, change)
            self._adopt(key, layer, change, current)

    def _settle(self) -> None:
        if not self._settled:
            self.loop.settle(reset=True)
            self._settled = True

    def _adopt(self, key: str, layer: CompressedEmbedding, change: Change, current: Current) -> None:
        trained = {array.name for array in layer.method.arrays() if array.trainable}
        if trained & change.arrays.keys():
            self._settle()
        layer.set_arrays(change.arrays)
        maps = {name: value for name, value in change.arrays.items() if name in layer.map_variables}
        changed = [layer.array_variables[name] for name in change.arrays.keys() - maps.keys()]
        self.loop.adopt(changed, change.reset_moments)
        for name in sorted(change.rows.keys() - trained):
            numbers, array = change.rows[name].numbers, change.rows[name].write(current[name])
            variable = layer.array_variables[name]
            new = tf.cast(array[numbers], variable.dtype)
            variable.value.scatter_update(tf.IndexedSlices(new, tf.constant(numbers, tf.int32)))
            if name in layer.map_variables:
                maps[name] = array
        if maps:
            self.maps[key].update(maps)
            self.renew(key)
        for name in sorted(trained & change.rows.keys()):
            self.loop.set_rows(layer.array_variables[name], change.rows[name])
