"""What `train` is asked to run: a script, a module or a command, and the arguments that go with it."""

import re
import shlex
from dataclasses import dataclass
from typing import Final

from runctl.errors import UsageError

_QUOTED: Final = re.compile(r"""'[^']*'|"(?:[^"\\$`]|\\.)*"|\\.""")
_FOR_A_SHELL: Final = re.compile(r"[|&;<>()`$]")


@dataclass(frozen=True)
class WhatToRun:
    """One of the three is there."""

    script: str = ""
    module: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


def what_to_run(
    words: tuple[str, ...], *, module: str | None, command: str | None, script_args: str | None
) -> WhatToRun:
    """Read the words after the flags, and the flags. Raises UsageError unless exactly one thing is to be run."""
    if command is not None:
        if words or module is not None or script_args is not None:
            raise UsageError(
                "More than one thing is to be run: --command and another.",
                hint="A command is given whole: runctl train --command 'torchrun train.py --epochs 3'",
            )
        return WhatToRun(command=_split_command(command))
    if module is not None:
        return WhatToRun(module=module, args=_arguments(words, script_args))
    if not words:
        raise UsageError(
            "Nothing is to be run: there is no SCRIPT.",
            hint="Name one of SCRIPT, -m MODULE and --command TEXT: runctl train train.py",
        )
    script, *rest = words
    return WhatToRun(script=script, args=_arguments(tuple(rest), script_args))


def _split_command(text: str) -> tuple[str, ...]:
    found = _FOR_A_SHELL.search(_QUOTED.sub("", text))
    if found is not None:
        raise UsageError(
            f"The command has {found[0]}, which only a shell understands, and no shell reads it.",
            hint="Put it into a script and run that: runctl train run.sh; or use: --command \"bash -c '…'\"",
        )
    words = _split(text, "--command", "Check the quotes.")
    if not words:
        raise UsageError("The command is empty.", hint="Name a program: --command 'torchrun train.py'")
    return words


def _arguments(words: tuple[str, ...], text: str | None) -> tuple[str, ...]:
    if text is None:
        return words
    if words:
        raise UsageError(
            "The script's arguments are given twice: after the script, and with --script-args.",
            hint="Use one: runctl train SCRIPT -- ARGS",
        )
    return _split(text, "--script-args", "Check the quotes, or use: -- ARGS")


def _split(text: str, flag: str, hint: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{flag} cannot be split: {str(error).lower()}.", hint=hint) from error
