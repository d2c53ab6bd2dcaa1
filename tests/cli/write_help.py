"""Writes the kept help of every command anew: python -m tests.cli.write_help"""

import contextlib
import io
import os

from runctl_cli.main import main
from tests.cli.test_contract import HELP, PATHS, WIDTHS


def write_help() -> None:
    """Replace all files below tests/cli/help."""
    HELP.mkdir(exist_ok=True)
    for file in HELP.iterdir():
        file.unlink()
    for path in PATHS:
        for width in WIDTHS:
            os.environ["COLUMNS"] = str(width)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                main([*path, "--help"])
            (HELP / f"{'-'.join(('runctl', *path))}.{width}.txt").write_text(out.getvalue())


if __name__ == "__main__":
    write_help()
