import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.ptq_int2 import PTQInt2, PTQInt2Settings


def serve(table, **settings):
    method = PTQInt2(Vocabulary("user", len(table)), table.shape[1], PTQInt2Settings(**settings))
    return method.served(), method.serve({"table": table}, np.random.default_rng(0))


def test_rows_by_hand():
    form, arrays = serve(np.array([[0, 1, 2, 3], [2, -1, 0.4, 0.9]], np.float32))
    np.testing.assert_array_equal(arrays["codes"], [[0b11100100], [0b10010011]])
    np.testing.assert_array_equal(arrays["ranges"], np.array([[1, 0], [1, -1]], np.float16))
    np.testing.assert_array_equal(form([0, 1], arrays), [[0, 1, 2, 3], [2, -1, 0, 1]])


def test_the_search_may_give_up_half_of_the_range():
    table = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    none, greedy = (
        serve(table, clipping=word)[1]["ranges"][:, 0].astype(float) for word in ("none", "greedy")
    )
    assert 0.49 < (greedy / none).min() < 0.7 and (greedy / none).max() <= 1


def test_signal_to_noise_of_normal_rows():
    table = np.random.default_rng(1).normal(size=(400, 64)).astype(np.float32)
    decibels = {}
    for clipping in ("none", "greedy"):
        form, arrays = serve(table, clipping=clipping)
        noise = np.square(form(np.arange(400), arrays) - table).mean()
        decibels[clipping] = -10 * np.log10(noise)
    assert decibels["none"] == pytest.approx(6.9, abs=0.2)  # four numbers over a range of about 4.8
    assert decibels["greedy"] > 9  # 9.3 with the range of 1.5 standard deviations to both sides


@pytest.mark.parametrize(("dim", "row"), [(1, 1), (4, 1), (5, 2), (64, 16)])
def test_bytes_by_hand(dim, row):
    field = Vocabulary("user", 100)
    assert PTQInt2(field, dim).nbytes == 100 * (row + 4)
    assert PTQInt2.fit(field, dim, PTQInt2Settings(), 100 * (row + 4)) == PTQInt2Settings()
    with pytest.raises(OverBudget, match=f"ptq_int2 takes {100 * (row + 4)} bytes"):
        PTQInt2.fit(field, dim, PTQInt2Settings(), 100 * (row + 4) - 1)
