"""What the emulator's process is started with, and the environment that ministack reads it from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ACCOUNT_ID: Final = "123456789012"
"""The local account. ministack takes a twelve-digit access key id as the caller's account."""

REGION: Final = "us-east-1"
SECRET_ACCESS_KEY: Final = "local"

IDLE_ENVIRONMENT_S: Final = 30
"""Idle time after which an execution environment may end; the reaper looks every 30 s."""

IDLE_NURSERY_S: Final = 600
"""Idle time after which the process that forks environments may end. It holds little more than imported libraries, and
without it the first step of the next run waits for them."""

WARM_ENVIRONMENTS: Final = 16
"""Execution environments to keep, of all functions together; more end as soon as they stand idle. Each has some 45 MiB
of its own, and thirteen functions that each kept the ten of a burst would fill this machine. Larger than the
concurrency, so that those which are busy do not drive out all others."""

LAMBDA_CONCURRENCY: Final = 10
"""Concurrent invocations in the account: what a new AWS account has. More are throttled, here as there."""


@dataclass(frozen=True)
class Settings:
    """Where the emulator keeps its state and where it listens. It listens on the loopback only."""

    state_dir: Path
    port: int
    boot_delay_s: float = 0.0

    @property
    def endpoint_url(self) -> str:
        """The one address of all services."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def functions_dir(self) -> Path:
        """Where code of functions is unpacked."""
        return self.state_dir / "functions"

    @property
    def services_dir(self) -> Path:
        """Where the services keep their state between two servers."""
        return self.state_dir / "services"

    @property
    def objects_dir(self) -> Path:
        """Where the objects of S3 lie."""
        return self.state_dir / "objects"

    def environment(self) -> dict[str, str]:
        """What ministack must find in the environment before it is imported.

        No Docker is looked for, no port but ours is opened, and everything that it writes stays below `state_dir`.
        """
        return {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # Roles have what their policies allow and no more, as on AWS.
            "AUTH": "true",
            "DOCKER_HOST": f"unix://{self.state_dir / 'there-is-no-docker'}",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_ACCOUNT_CONCURRENCY": str(LAMBDA_CONCURRENCY),
            "LAMBDA_WARM_TTL_SECONDS": str(IDLE_ENVIRONMENT_S),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.services_dir),
            # Not for keeping alone: otherwise every checkpoint would stay in the server's memory.
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.objects_dir),
            "TMPDIR": str(self.state_dir / "tmp"),
            "LOG_LEVEL": "WARNING",
        }
