"""The command ``python -m bench.export``: writes what a finished run serves, as files."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.export")
