"""The command ``python -m bench.serve``: an HTTP server over an exported folder."""

from bench.cli import shell

if __name__ == "__main__":
    shell.enter("bench.cli.serve")
