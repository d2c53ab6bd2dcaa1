"""The server's process without machines, for tests of everything else."""

from runctl.local.emulator.__main__ import main
from runctl.local.emulator.server import Application, Bare, Front
from runctl.local.emulator.settings import Settings


def make_bare(app: Application, settings: Settings) -> Front:
    """Nothing stands before ministack."""
    return Bare(app)


if __name__ == "__main__":
    main(make_bare)
