"""The command ``python -m bench.report``: the trade-off of finished runs, as a page, plots and tables."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.report")
