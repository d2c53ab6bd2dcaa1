"""The serving: ministack's application behind the front, on one loopback port, until a signal asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config

from runctl.local.emulator import keeping
from runctl.local.emulator.action_check import ActionCheck, Application, Receive, Scope, Send
from runctl.local.emulator.events import publisher
from runctl.local.emulator.mends import apply_all
from runctl.local.emulator.role_credentials import create_role_credentials
from runctl.local.emulator.seam import module
from runctl.local.emulator.settings import ACCOUNT_ID, REGION, Settings

_FRONT_MODULE = "runctl.local.machines.front"
_log = logging.getLogger(__name__)


class Front(Protocol):
    """What stands before ministack and plays machines."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        ...

    async def startup(self) -> None:
        """Begin, with the event loop running."""
        ...

    async def shutdown(self) -> None:
        """End everything that was started."""
        ...


class Bare:
    """No front: every request is ministack's."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def startup(self) -> None:
        """Nothing to begin."""

    async def shutdown(self) -> None:
        """Nothing to end."""


MakeFront = Callable[[Application, Settings], Front]


def run(settings: Settings, listener: socket.socket, ready: Callable[[], None], make: MakeFront) -> None:
    """Serve on `listener` until SIGTERM or SIGINT; `ready` is called once requests are answered."""
    os.environ.update(settings.environment())
    Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    keeping.prepare(settings.services_dir, settings.objects_dir)
    nurseries = apply_all(settings.functions_dir)
    app = module("app").app
    front = make(app, settings)
    try:
        asyncio.run(_serve(front, app, listener, ready))
    finally:
        module("core.lambda_runtime").reset()
        nurseries.stop()


def make_front(app: Application, settings: Settings) -> Front:
    """The front that plays machines, given all that it needs of ministack."""
    front_class = importlib.import_module(_FRONT_MODULE).Front
    return front_class(
        app,
        state_dir=settings.state_dir,
        endpoint_url=settings.endpoint_url,
        region=REGION,
        account_id=ACCOUNT_ID,
        publish_service_event=publisher(ACCOUNT_ID, REGION),
        boot_delay_s=settings.boot_delay_s,
        create_role_credentials=create_role_credentials,
    )


async def _serve(front: Front, app: Application, listener: socket.socket, ready: Callable[[], None]) -> None:
    checked = ActionCheck(front, ACCOUNT_ID)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        """Requests go to the front; the life cycle to ministack first, since the front's start may call it."""
        if scope["type"] != "lifespan":
            await checked(scope, receive, send)
            return

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                await front.startup()
                keeping.end_cut_off_executions()
            await send(message)

        async def tell() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await front.shutdown()
            return message

        await app(scope, tell, told)

    config = Config()
    # hypercorn takes the descriptor over, and closes it.
    port = listener.getsockname()[1]
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75
    # What is still open then is a client's idle connection, or a call that would find its services gone.
    config.graceful_timeout = 0.2
    announcing = asyncio.create_task(_announce(port, ready))
    await serve(gate, config, shutdown_trigger=stop.wait)  # pyright: ignore[reportArgumentType]
    announcing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _announce(port: int, ready: Callable[[], None]) -> None:
    """Call `ready` once the port takes connections, which hypercorn opens after the start of the life cycle."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        ready()
        return
