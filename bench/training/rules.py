"""Optimizers as rules for single rows: what a row's update is, and how far it moves while nobody looks it up.

A dense optimizer also moves rows that a batch does not touch: their momentum goes on and decays. With a zero
gradient that movement is known in advance, so it can wait until the row is next read ("deferred"). The result
is the dense optimizer's, at the cost of the rows of a batch instead of all rows.

Notation: a row was last updated at step t0, is read after step t, k = t - t0; m, v are its moments.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Any

import numpy as np
import tensorflow as tf


class RowRule(ABC):
    """One optimizer, written for rows.

    Attributes:
        slots: the initial value of each of the row's moments.
        one_a_row: True if each moment is one number a row. Else each is as wide as the row.
        clock: True if a row must know the step of its last update.
        lazy: True if rows that a batch does not read stay as they are, which no dense optimizer does. All tables are
            then updated by rows, small ones too.
    """

    slots: tuple[float, ...] = ()
    one_a_row: bool = False
    clock: bool = False
    lazy: bool = False

    @abstractmethod
    def coefficients(self, learning_rates: np.ndarray) -> np.ndarray:
        """The numbers of a step that are known before training.

        Args:
            learning_rates: float64 of shape (steps,), that of step s (counted from 1) at s - 1.

        Returns:
            float32 of shape (steps + 1, columns). Row t serves the update of step t and catching up from or
            to the state after step t.
        """

    def catch_up(self, w: Any, slots: list[Any], then: Any, now: Any, k: Any) -> tuple[Any, list[Any]]:
        """Rows as the dense optimizer would have them after k steps without a gradient.

        Args:
            w: weights, shape (rows, width).
            slots: moments, each of shape (rows, width).
            then: the coefficients at each row's last update, shape (rows, columns).
            now: the coefficients at the step reached, shape (columns,).
            k: steps in between, float32 of shape (rows, 1).
        """
        return w, slots

    @abstractmethod
    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        """One step with a gradient; ``now`` holds that step's coefficients."""


class Adam(RowRule):
    """Adam (Kingma and Ba, 2015) as Keras writes it: w -= alpha_t m / (sqrt(v) + epsilon).

    With alpha_s = lr_s sqrt(1 - beta_2^s) / (1 - beta_1^s), rho = beta_1 / sqrt(beta_2) and kappa =
    beta_1 / beta_2, let G[t] be the sum over s > t of alpha_s rho^(s - t), and K[t] the same with kappa. A row
    without a gradient for k steps moves by -m (c / r - epsilon (d - c) / r^2), where c = G[t0] - rho^k G[t],
    d = K[t0] - kappa^k K[t] and r = sqrt(v) + epsilon. The second term is the first-order effect of epsilon,
    which does not decay with sqrt(v).
    """

    slots = (0.0, 0.0)
    clock = True

    def __init__(self, beta_1: float, beta_2: float, epsilon: float) -> None:
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.rho = beta_1 / math.sqrt(beta_2)
        self.kappa = beta_1 / beta_2

    @staticmethod
    def holds(beta_1: float, beta_2: float) -> bool:
        """Returns True if the sums converge and the error of the first order in epsilon stays below 1e-3."""
        if not (0 < beta_1 < 1 and 0 < beta_2 < 1 and beta_1 < beta_2**1.5):
            return False
        j = np.arange(1, 2000)
        return bool(np.max((beta_1 / math.sqrt(beta_2)) ** j * (beta_2 ** (-j / 2) - 1) ** 2) < 1e-3)

    def alpha(self, learning_rates: np.ndarray) -> np.ndarray:
        """The learning rate of each step, corrected for the moments' start at 0; float64 (steps,)."""
        s = np.arange(1, len(learning_rates) + 1, dtype=np.float64)
        return learning_rates * np.sqrt(1 - self.beta_2**s) / (1 - self.beta_1**s)

    def coefficients(self, learning_rates: np.ndarray) -> np.ndarray:
        alpha = self.alpha(learning_rates)
        columns = [np.concatenate([[0.0], alpha])]
        for decay in (self.rho, self.kappa):
            columns.append(_backward_sums(alpha, decay))
        return np.stack(columns, axis=1).astype(np.float32)

    def catch_up(self, w: Any, slots: list[Any], then: Any, now: Any, k: Any) -> tuple[Any, list[Any]]:
        m, v = slots
        # exp(k log beta) is faster than a power; all four together are one small program, not four to compile.
        logs = [math.log(decay) for decay in (self.rho, self.kappa, self.beta_1, self.beta_2)]
        of_c, of_d, of_m, of_v = tf.split(tf.exp(k * tf.constant(logs)), 4, axis=1)
        c = then[:, 1:2] - of_c * now[1]
        d = then[:, 2:3] - of_d * now[2]
        over_r = 1.0 / (tf.sqrt(v) + self.epsilon)
        w = w - m * over_r * (c - self.epsilon * (d - c) * over_r)
        return w, [m * of_m, v * of_v]

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        m, v = slots
        m = m + (gradient - m) * (1 - self.beta_1)
        v = v + (gradient * gradient - v) * (1 - self.beta_2)
        return w - now[0] * m / (tf.sqrt(v) + self.epsilon), [m, v]


def _backward_sums(alpha: np.ndarray, decay: float) -> np.ndarray:
    """Of each step t, from 0, the sum over s > t of alpha_s decay^(s - t)."""

    def before(later: float, here: float) -> float:
        return decay * (here + later)

    sums = list(accumulate(alpha[::-1].tolist(), before, initial=0.0))
    return np.array(sums[::-1])


def _column(rates: np.ndarray) -> np.ndarray:
    """The coefficients of a rule that needs one number a step: that of step s at s, and 0 before the first."""
    return np.concatenate([[0.0], rates]).astype(np.float32)[:, None]


def _geometric(k: Any, ratio: float) -> Any:
    """The sum ratio + ratio^2 + ... + ratio^k."""
    return (1.0 - tf.exp(k * math.log(ratio))) * (ratio / (1 - ratio))


class _LearningRate(RowRule):
    """A rule whose steps differ only in the learning rate."""

    def coefficients(self, learning_rates: np.ndarray) -> np.ndarray:
        return _column(learning_rates)


class SGD(_LearningRate):
    """w -= lr g: rows without a gradient stay."""

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        return w - now[0] * gradient, slots


class MomentumSGD(_LearningRate):
    """m = mu m - lr g; w += m, or with Nesterov w += mu m - lr g.

    Without a gradient, w moves by m (mu + ... + mu^k), with Nesterov by mu times that.
    """

    slots = (0.0,)
    clock = True

    def __init__(self, momentum: float, nesterov: bool) -> None:
        self.momentum, self.nesterov = momentum, nesterov

    def catch_up(self, w: Any, slots: list[Any], then: Any, now: Any, k: Any) -> tuple[Any, list[Any]]:
        (m,) = slots
        share = _geometric(k, self.momentum) * (self.momentum if self.nesterov else 1.0)
        return w + m * share, [m * tf.exp(k * math.log(self.momentum))]

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        (m,) = slots
        m = m * self.momentum - gradient * now[0]
        return w + (m * self.momentum - gradient * now[0] if self.nesterov else m), [m]


class Adagrad(_LearningRate):
    """a += g^2; w -= lr g / sqrt(a + epsilon): rows without a gradient stay (Duchi et al., 2011)."""

    def __init__(self, initial_accumulator_value: float, epsilon: float) -> None:
        self.slots = (initial_accumulator_value,)
        self.epsilon = epsilon

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        a = slots[0] + gradient * gradient
        return w - now[0] * gradient / tf.sqrt(a + self.epsilon), [a]


class LazyAdam(Adam):
    """Adam on the rows of a batch: m, v and w of all others stay. The steps of the bias correction are all steps.

    With the batch's summed gradient g of a row: m += (1 - beta_1)(g - m), v += (1 - beta_2)(g^2 - v),
    w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon). PyTorch calls it ``SparseAdam``.
    """

    clock = False
    lazy = True

    def coefficients(self, learning_rates: np.ndarray) -> np.ndarray:
        return _column(self.alpha(learning_rates))


class LazyAdagrad(_LearningRate):
    """a += g^2; w -= lr g / (sqrt(a) + epsilon), as PyTorch writes Adagrad."""

    lazy = True

    def __init__(self, initial_accumulator_value: float, epsilon: float) -> None:
        self.slots = (initial_accumulator_value,)
        self.epsilon = epsilon

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        a = slots[0] + self._added(gradient)
        return w - now[0] * gradient / (tf.sqrt(a) + self.epsilon), [a]

    def _added(self, gradient: Any) -> Any:
        return gradient * gradient


class RowwiseAdagrad(LazyAdagrad):
    """a += mean of g^2 over the row; w -= lr g / (sqrt(a) + epsilon): one number a row (DLRM, Naumov et al., 2019)."""

    one_a_row = True

    def _added(self, gradient: Any) -> Any:
        return tf.reduce_mean(gradient * gradient, axis=1, keepdims=True)


class RMSprop(_LearningRate):
    """v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon) (Hinton, 2012), as Keras writes it.

    Centered, the mean gradient's square is taken off v. With momentum, m = mu m + that step; w -= m. Without a
    gradient the averages decay, and w moves by -m (mu + ... + mu^k).
    """

    clock = True

    def __init__(self, rho: float, momentum: float, epsilon: float, centered: bool) -> None:
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.slots = (0.0,) * (1 + (momentum > 0) + centered)

    def catch_up(self, w: Any, slots: list[Any], then: Any, now: Any, k: Any) -> tuple[Any, list[Any]]:
        decay = tf.exp(k * math.log(self.rho))
        v, *rest = slots
        out = [v * decay]
        if self.centered:
            out.append(rest.pop(0) * decay)
        if self.momentum > 0:
            (m,) = rest
            w = w - m * _geometric(k, self.momentum)
            out.append(m * tf.exp(k * math.log(self.momentum)))
        return w, out

    def update(self, w: Any, slots: list[Any], gradient: Any, now: Any) -> tuple[Any, list[Any]]:
        v, *rest = slots
        v = self.rho * v + (1 - self.rho) * gradient * gradient
        out = [v]
        if self.centered:
            mean = self.rho * rest.pop(0) + (1 - self.rho) * gradient
            out.append(mean)
            v = v - mean * mean
        step = now[0] * gradient / tf.sqrt(v + self.epsilon)
        if self.momentum > 0:
            step = self.momentum * rest[0] + step
            out.append(step)
        return w - step, out
