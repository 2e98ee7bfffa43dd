"""The command ``python -m bench.prepared``: lists and removes prepared data and compiled programs."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.prepared")
