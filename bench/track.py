"""The command ``python -m bench.track``: sends to MLflow what it lacks."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.track")
