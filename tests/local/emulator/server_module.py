"""Which server the tests of this folder start: the real one where the machines are built, else one without them."""

import importlib.util
from typing import Final

SERVER_MODULE: Final = (
    "runctl.local.emulator"
    if importlib.util.find_spec("runctl.local.machines.front") is not None
    else "tests.local.emulator.bare_server"
)
