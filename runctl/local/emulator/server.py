"""The serving: ministack's application behind the front, on one loopback port, until a signal asks it to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config

from runctl.local.emulator import keeping
from runctl.local.emulator.callers import Application, Callers, Receive, Scope, Send
from runctl.local.emulator.events import publisher
from runctl.local.emulator.mends import apply_all
from runctl.local.emulator.role_credentials import create_role_credentials
from runctl.local.emulator.seam import module
from runctl.local.emulator.settings import ACCOUNT_ID, REGION, Settings
from runctl.local.machines.front import Front

_LOOK_EVERY_S = 5.0
_log = logging.getLogger(__name__)


def run(
    settings: Settings, listener: socket.socket, *, ready: Callable[[], None], is_wanted: Callable[[], bool]
) -> None:
    """Serve on `listener` until SIGTERM or SIGINT, or until nobody can know of this server any more.

    `ready` is called once requests are answered; `is_wanted` is asked every few seconds afterwards.
    """
    os.environ.update(settings.environment())
    Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    keeping.prepare(settings.services_dir, settings.objects_dir)
    nurseries = apply_all(settings.functions_dir)
    app = module("app").app
    front = Front(
        app,
        state_dir=settings.state_dir,
        endpoint_url=settings.endpoint_url,
        region=REGION,
        account_id=ACCOUNT_ID,
        publish_service_event=publisher(ACCOUNT_ID, REGION),
        boot_delay_s=settings.boot_delay_s,
        create_role_credentials=create_role_credentials,
    )
    try:
        asyncio.run(_serve(front, app, listener, ready, is_wanted))
    finally:
        nurseries.close()
        module("core.lambda_runtime").reset()


async def _serve(
    front: Front,
    app: Application,
    listener: socket.socket,
    ready: Callable[[], None],
    is_wanted: Callable[[], bool],
) -> None:
    checked = Callers(front, ACCOUNT_ID, REGION)
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
    announcing = asyncio.create_task(_announce(port, ready, is_wanted, stop))
    await serve(gate, config, shutdown_trigger=stop.wait)  # pyright: ignore[reportArgumentType]
    announcing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _announce(port: int, ready: Callable[[], None], is_wanted: Callable[[], bool], stop: asyncio.Event) -> None:
    """Call `ready` once the port takes connections, which hypercorn opens after the start of the life cycle.

    Then see to it that a server whose folder was removed ends as well: nobody could ever find it.
    """
    while not await _takes_connections(port):
        await asyncio.sleep(0.02)
    ready()
    while is_wanted():
        await asyncio.sleep(_LOOK_EVERY_S)
    _log.warning("The record of this server is gone or another's; it ends and keeps nothing.")
    keeping.keep_nothing()
    stop.set()


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
