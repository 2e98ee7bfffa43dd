"""A line whenever nothing was said for some time."""

import io
import time

from bench.measure.pulse import EVERY_SECONDS, Pulse


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_half_a_minute_is_the_longest_silence():
    assert EVERY_SECONDS < 30


def test_what_goes_on_is_said_again_and_again():
    out = io.StringIO()
    with Pulse(out, every=0.05) as pulse:
        pulse.doing("compiling")
        until(lambda: out.getvalue().count("\n") >= 2)
        pulse.doing(lambda: "step 3 of 7")
        until(lambda: "step 3 of 7\n" in out.getvalue())
    ended = out.getvalue()
    assert ended.startswith("compiling, 1.00 s so far\n")
    time.sleep(0.2)
    assert out.getvalue() == ended


def test_nothing_is_said_where_others_speak():
    out = io.StringIO()
    with Pulse(out, every=0.5) as pulse:
        pulse.doing("compiling")
        for _ in range(20):
            time.sleep(0.05)
            pulse.said()
    assert out.getvalue() == ""


def test_nothing_is_said_on_a_terminal_or_where_silence_is_wanted():
    for out, shown in ((Terminal(), True), (io.StringIO(), False)):
        with Pulse(out, shown=shown, every=0.02) as pulse:
            pulse.doing("compiling")
            time.sleep(0.2)
        assert out.getvalue() == ""


def test_a_reader_that_has_gone_ends_nothing():
    out = io.StringIO()
    with Pulse(out, every=0.02) as pulse:
        pulse.doing("compiling")
        out.close()
        time.sleep(0.1)
