"""The errors that end a command with one clear line."""


class BenchError(Exception):
    """An error whose message is for the user: what was wrong, the value that was given, what would work."""

    exit_code = 1


class RequestError(BenchError):
    """The request is wrong: a setting, a data file, a broken archive, a budget that cannot be met."""

    exit_code = 2


class SourceError(BenchError):
    """A data source cannot be reached."""


class RunFailed(BenchError):  # noqa: N818 (an outcome, not an error of the program)
    """A run that started did not come to a valid result (a NaN, for one)."""


def interrupted(error: BaseException | None) -> bool:
    """Whether a Ctrl-C is what an error began with: in the middle of composing, OmegaConf makes another of it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
