#!/usr/bin/env python3
"""User data of every machine: fetches the agent, checks it, makes sure of a Python for it and hands over to it.

Standard library only and any Python from 3.9, for this runs on whatever the image brings. The stack replaces the names
between @ signs. EC2 limits user data to 16 KB (EC2 User Guide, "Run commands when you launch an EC2 instance").
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ASSET_BUCKET = "@ASSET_BUCKET@"
AGENT_KEY = "@AGENT_KEY@"
AGENT_SHA256 = "@AGENT_SHA256@"
BUS_NAME = "@BUS_NAME@"
BUCKET = "@BUCKET@"
MACHINE_ROLE_ID = "@MACHINE_ROLE_ID@"
ROLE_TAG = "runctl:role"
NOT_FOUND = 404

ROOT = Path(os.environ.get("RUNCTL_ROOT", "/opt/runctl"))
IMDS = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
OLDEST_PYTHON = (3, 11)
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")
# AL2023's python3 is 3.9 for life; 3.11 stands beside it. Ubuntu 24.04 has 3.12, 22.04 has 3.11 in universe.
INSTALLS = (
    "dnf install -y -q python3.11 python3.11-pip",
    "apt-get update -q; apt-get install -o DPkg::Lock::Timeout=120 -y -q python3.12 python3.12-venv",
    "apt-get install -o DPkg::Lock::Timeout=120 -y -q python3.11 python3.11-venv",
)
TRIES = 20
TIMEOUT_S = 10

Found = TypeVar("Found")
Credentials = tuple[str, str, str]
"""Access key, secret key, session token."""


def say(text: str) -> None:
    """Write a line to the console, which is what EC2 shows of a machine that never reports."""
    sys.stdout.write(f"runctl: {text}\n")
    sys.stdout.flush()


def insist(what: str, call: Callable[[], Found]) -> Found:
    """Try again while the network, the role's credentials or a package lock are not there yet: about four minutes."""
    attempt = 0
    while True:
        try:
            return call()
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            say(f"{what}: {error}")
            if attempt == TRIES:
                raise
        time.sleep(min(15.0, 0.25 * 2**attempt))
        attempt += 1


def imds(path: str) -> str:
    """Ask the instance metadata service, version 2 (EC2 User Guide, "Use the Instance Metadata Service")."""
    ask = urllib.request.Request(IMDS + "/latest/api/token", method="PUT")
    ask.add_header("X-aws-ec2-metadata-token-ttl-seconds", "300")
    # Metadata is link-local and never behind a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(ask, timeout=TIMEOUT_S) as answer:
        token = answer.read().decode()
    get = urllib.request.Request(IMDS + "/latest/meta-data/" + path, headers={"X-aws-ec2-metadata-token": token})
    with opener.open(get, timeout=TIMEOUT_S) as answer:
        return answer.read().decode()


def role_credentials() -> Credentials:
    """Read the credentials of the machine's role."""
    role = imds("iam/security-credentials/").split()[0]
    found = json.loads(imds("iam/security-credentials/" + role))
    return found["AccessKeyId"], found["SecretAccessKey"], found["Token"]


def role_id_of_machine() -> str:
    """Name the machine's role: the stack's own, or the one that the launching call noted in a tag."""
    try:
        return imds("tags/instance/" + ROLE_TAG)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != NOT_FOUND:
            raise
        return MACHINE_ROLE_ID


def object_url(region: str) -> str:
    """Name the agent's archive; a bucket with dots has no certificate of its own host name."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    key = urllib.parse.quote(AGENT_KEY)
    if endpoint:
        return f"{endpoint.rstrip('/')}/{ASSET_BUCKET}/{key}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "." in ASSET_BUCKET:
        return f"https://s3.{region}.{domain}/{ASSET_BUCKET}/{key}"
    return f"https://{ASSET_BUCKET}.s3.{region}.{domain}/{key}"


def signed_get(
    url: str, region: str, credentials: tuple[str, str, str], now: time.struct_time
) -> urllib.request.Request:
    """Sign a GET (IAM User Guide, "Create a signed AWS API request")."""
    access_key, secret_key, token = credentials
    parts = urllib.parse.urlsplit(url)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", now)
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers = {
        "host": parts.netloc,
        "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-amz-date": stamp,
        "x-amz-security-token": token,
    }
    names = ";".join(sorted(headers))
    lines = ["GET", parts.path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names]
    canonical = "\n".join([*lines, headers["x-amz-content-sha256"]])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = ("AWS4" + secret_key).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}"
    return urllib.request.Request(url, headers=headers)


def fetch_agent(target: Path, region: str) -> None:
    """Fetch the archive and refuse one whose content is not what was deployed."""
    request = signed_get(object_url(region), region, role_credentials(), time.gmtime())
    with urllib.request.urlopen(request, timeout=60) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != AGENT_SHA256:
        raise ValueError(f"the agent's archive has hash {found}, not {AGENT_SHA256}")


def install_agent(region: str) -> None:
    """Unpack the agent below its hash and point `current` at it; a machine that has it already keeps it."""
    home = ROOT / "agent" / AGENT_SHA256
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        archive = home.parent / (AGENT_SHA256 + ".tar.gz")
        insist("fetching the agent", lambda: fetch_agent(archive, region))
        unpacked = home.parent / (AGENT_SHA256 + ".part")
        shutil.rmtree(str(unpacked), ignore_errors=True)
        with tarfile.open(str(archive)) as tar:
            tar.extractall(str(unpacked))  # its hash was checked
        archive.unlink()
        unpacked.rename(home)
    link = home.parent / "current.new"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(AGENT_SHA256)
    link.replace(home.parent / "current")


def find_python(modules: str = "venv, ensurepip") -> str | None:
    """Find a Python that is new enough and can make environments (Ubuntu's own cannot); None when there is none."""
    check = f"import sys, {modules}; sys.exit(sys.version_info < {OLDEST_PYTHON!r})"
    for path in (sys.executable, *map(shutil.which, PYTHONS)):
        if path and subprocess.call([path, "-c", check], stderr=subprocess.DEVNULL) == 0:
            return path
    return None


def install_python() -> str:
    """Install a Python with the image's own package manager."""
    for command in INSTALLS:
        if shutil.which(command.split()[0]):
            say(command)
            environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            subprocess.call(["/bin/sh", "-c", command], env=environment)
            found = find_python()
            if found:
                return found
    found = find_python(modules="json")  # will do for projects without requirements, or where uv is there
    if found:
        return found
    raise OSError("no Python 3.11 or newer, and none could be installed")


def make_sure_of_python() -> tuple[str, float]:
    """Find a Python, or install one; answers it, and the seconds that installing took."""
    found = find_python()
    if found:
        return found, 0.0
    began = time.monotonic()
    return insist("installing Python", install_python), time.monotonic() - began


def main() -> None:
    """Make the machine ready and become the announcing agent."""
    region = os.environ.get("AWS_REGION") or insist("reading the region", lambda: imds("placement/region"))
    ROOT.mkdir(parents=True, exist_ok=True)
    install_agent(region)
    python, install_s = make_sure_of_python()
    role_id = insist("reading the tags", role_id_of_machine)
    machine = {
        "bucket": BUCKET,
        "bus_name": BUS_NAME,
        "machine_role_id": role_id,
        "region": region,
        "python_install_s": round(install_s, 1),
    }
    (ROOT / "machine.json").write_text(json.dumps(machine, indent=1) + "\n")
    (ROOT / "python").write_text(python + "\n")
    agent = str(ROOT / "agent" / "current" / "bin" / "runctl-agent")
    os.environ["RUNCTL_ROOT"] = str(ROOT)
    os.execv(agent, [agent, "announce"])


if __name__ == "__main__":
    main()
