"""The command ``python -m bench.results``: lists, shows and removes records of runs."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.results")
