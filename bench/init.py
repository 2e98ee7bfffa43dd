"""The command ``python -m bench.init``: looks at a table and writes a settings file for it."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.init")
