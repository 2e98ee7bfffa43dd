"""The command ``python -m bench.compress``: compresses a table that the user already has, without training."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.compress")
