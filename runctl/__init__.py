"""runctl trains models on EC2 with no server of its own.

Importing this package imports nothing else: the agent carries it to machines, and `runctl --help` must be quick.
The Python API, `Client`, `RunSpec` and `RunHandle`, is imported when it is first named; `__init__.pyi` tells type
checkers.
"""

__version__ = "0.1.0"

_HOMES = {"Client": "runctl.client.client", "RunSpec": "runctl.client.spec", "RunHandle": "runctl.client.handle"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
