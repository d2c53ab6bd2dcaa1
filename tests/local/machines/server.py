"""A server for these tests: ministack as it comes, our front before it, service events written to a file.

`python -m tests.local.machines.server STATE_DIR PORT BOOT_DELAY_S`
"""

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config

from runctl.local.emulator.settings import ACCOUNT_ID, REGION, Settings


async def main(state_dir: Path, port: int, boot_delay_s: float) -> None:
    """Serve until SIGTERM."""
    settings = Settings(state_dir, port, boot_delay_s)
    os.environ.update(settings.environment())
    Path(os.environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    app: Any = importlib.import_module(
        "ministack.app"
    ).app  # reads its settings from the environment when it is imported

    from runctl.local.emulator.role_credentials import create_role_credentials
    from runctl.local.machines.front import Front

    events = state_dir / "events.jsonl"

    def publish(event: dict[str, object]) -> None:
        with events.open("a") as file:
            file.write(json.dumps(event) + "\n")

    front = Front(
        app,
        state_dir=state_dir,
        endpoint_url=settings.endpoint_url,
        region=REGION,
        account_id=ACCOUNT_ID,
        publish_service_event=publish,
        boot_delay_s=boot_delay_s,
        create_role_credentials=create_role_credentials,
    )

    async def gate(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await (app if scope["type"] == "lifespan" else front)(scope, receive, send)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await front.startup()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1
    await serve(gate, config, shutdown_trigger=stop.wait)  # pyright: ignore[reportArgumentType]
    await front.shutdown()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
