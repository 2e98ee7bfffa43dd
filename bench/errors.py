"""Errors that end a command with one clear line."""

from pathlib import Path
from typing import NoReturn

_PACKAGE = Path(__file__).resolve().parent
_ADDED_TO = tuple(_PACKAGE / name for name in ("data", "embeddings", "models", "tasks"))


class BenchError(Exception):
    """An error for the user. Its message says what was wrong, the value that was given, and what would work.

    The command ends with ``exit_code``.
    """

    exit_code = 1


class RequestError(BenchError):
    """The request is wrong: an invalid setting, data file or archive, or a budget that cannot be met."""

    exit_code = 2


class SourceError(BenchError):
    """The source of a data set cannot be reached."""


class RunFailed(BenchError):  # noqa: N818 (an outcome, not a mistake in the code)
    """A run has started and ended without a valid result: a number is NaN, for example."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does.

    Attributes:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_asked: list[int] = []


def interrupt(number: int, frame: object = None) -> NoReturn:
    """Ends the command, as the handler of a signal.

    Raises:
        Interrupted: with the signal's number.
    """
    _asked.append(number)
    raise Interrupted(number)


def end_if_asked() -> None:
    """Raises once more what ``interrupt`` raised, if a library has passed over it.

    OmegaConf makes an AttributeError of it while settings are read, and ``getattr`` with a default passes over that.
    What begins a run, or goes on with one, calls this function. What ends a command never does.

    Raises:
        Interrupted: with the number of the last signal.
    """
    if _asked:
        raise Interrupted(_asked.pop())


def interrupted(error: BaseException | None) -> int:
    """Finds the signal that an error comes from. Gives its number, or 0 if the error comes from no signal.

    Libraries turn a Ctrl-C into other errors: while settings are composed, OmegaConf raises an AttributeError.
    """
    import signal

    while error is not None:
        if isinstance(error, Interrupted):
            return error.number
        if isinstance(error, KeyboardInterrupt):
            return signal.SIGINT
        error = error.__cause__ or error.__context__
    return 0


def unwrapped(error: Exception) -> Exception:
    """Gives the error that Keras or TensorFlow has put into an error of its own, whose text has many lines."""
    inner = error.__cause__ or error.__context__
    while isinstance(inner, Exception) and "\n" in str(error) and line(inner) in line(error):
        error, inner = inner, inner.__cause__ or inner.__context__
    return error


def unexpected(error: BaseException) -> str:
    """Gives an error that is no ``BenchError`` as one line: its type and its text.

    Where it comes from a method, a model, a task or a data set, the line begins with the file and the line there: these
    are what users add.
    """
    import traceback

    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename)
        if any(map(file.is_relative_to, _ADDED_TO)):
            place = f"{file.relative_to(_PACKAGE.parent)}, line {frame.lineno}: "
    return f"{place}{type(error).__name__}: {line(error)}"


def line(error: object) -> str:
    """Gives the text of an error as one line."""
    return " ".join(str(error).split())
