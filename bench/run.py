"""The command ``python -m bench.run``: one run; with ``-m`` a sweep of them."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.run")
