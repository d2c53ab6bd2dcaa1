"""The front: stands before the emulator, answers what is about machines, and hands the rest on."""

import asyncio
import re
from pathlib import Path

from botocore.model import ServiceModel

from runctl.local.machines.capacity import MissingCapacity
from runctl.local.machines.catalogue import Catalogue
from runctl.local.machines.ec2.api import Ec2Api
from runctl.local.machines.ec2.instances import Instances
from runctl.local.machines.ec2.offers import Offers
from runctl.local.machines.ec2.run_instances import RunInstances
from runctl.local.machines.ec2.spot import SpotRequests
from runctl.local.machines.ec2.tags import Tags
from runctl.local.machines.events import EventPublisher, PublishServiceEvent
from runctl.local.machines.faults import PREFIX as FAULTS_PREFIX
from runctl.local.machines.faults import FaultCalls
from runctl.local.machines.fleet import Fleets
from runctl.local.machines.imds import PREFIX as METADATA_PREFIX
from runctl.local.machines.imds import CreateRoleCredentials, MetadataService
from runctl.local.machines.interruptions import Interruptions
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.launch import Launcher
from runctl.local.machines.operations import ASKED_OF_THE_EMULATOR, ec2_operations, ssm_operations
from runctl.local.machines.pools import Pools
from runctl.local.machines.price_list import TARGET as PRICE_LIST_TARGET
from runctl.local.machines.price_list import PriceListCalls
from runctl.local.machines.quotas import TARGET as QUOTAS_TARGET
from runctl.local.machines.quotas import QuotaCalls
from runctl.local.machines.request_log import RequestLog
from runctl.local.machines.rights import Rights
from runctl.local.machines.ssm.agents import Agents
from runctl.local.machines.ssm.api import SsmApi
from runctl.local.machines.ssm.commands import CommandCalls
from runctl.local.machines.ssm.parameters import PublicParameters
from runctl.local.machines.ssm.run_command import RunCommand
from runctl.local.machines.wire.asgi import (
    App,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_request,
    replayed,
    scope_headers,
    send_response,
)
from runctl.local.machines.wire.models import load_model
from runctl.local.machines.wire.upstream import Upstream

_SCOPE_SERVICE = re.compile(r"Credential=[^/,]+/[^/,]+/[^/,]+/([^/,]+)/")
_SSM_TARGET = "AmazonSSM."
_EC2_VERSION = "2016-11-15"
_FORM = "application/x-www-form-urlencoded"


class Front:
    """An ASGI application around the emulator's."""

    def __init__(
        self,
        app: App,
        *,
        state_dir: Path,
        endpoint_url: str,
        region: str,
        account_id: str,
        publish_service_event: PublishServiceEvent,
        boot_delay_s: float,
        create_role_credentials: CreateRoleCredentials,
    ) -> None:
        self._app = app
        self._requests = RequestLog(state_dir)
        self._state_dir = state_dir
        self._region = region
        self._account_id = account_id
        self._models: dict[str, ServiceModel] = {}
        events = EventPublisher(publish_service_event, region=region, account_id=account_id)
        self._events = events
        self._keeper = MachineKeeper(
            state_dir=state_dir, endpoint_url=endpoint_url, region=region, boot_delay_s=boot_delay_s, events=events
        )
        self._missing_capacity = MissingCapacity()
        self._catalogue = Catalogue(region)
        self._upstream = Upstream(app, self._models, region=region, account_id=account_id)
        agents = Agents(self._keeper, region=region)
        rights = self._rights = Rights(self._keeper, region, account_id)
        self._run_command = RunCommand(self._keeper, agents, events, rights)
        self._interruptions = Interruptions(self._keeper, events)
        self._faults = FaultCalls(self._keeper, agents, self._interruptions, self._missing_capacity)
        self._metadata = MetadataService(self._keeper, create_role_credentials, region=region, account_id=account_id)
        self._price_list = PriceListCalls(self._catalogue)
        self._quotas = QuotaCalls(region=region, account_id=account_id)
        instances = Instances(self._keeper, region=region, account_id=account_id)
        launcher = Launcher(self._upstream, self._catalogue, rights)
        pools = Pools(self._catalogue, self._missing_capacity)
        self._ec2_operations = ec2_operations(
            fleets=Fleets(launcher=launcher, pools=pools, keeper=self._keeper, rights=rights, state_dir=state_dir),
            run_instances=RunInstances(
                launcher=launcher,
                pools=pools,
                keeper=self._keeper,
                state_dir=state_dir,
                region=region,
                account_id=account_id,
            ),
            instances=instances,
            offers=Offers(self._catalogue, self._upstream),
            spot_requests=SpotRequests(self._keeper, self._catalogue),
            tags=Tags(self._keeper, instances, self._upstream),
        )
        self._ssm_operations = ssm_operations(
            agents=agents,
            commands=CommandCalls(self._run_command),
            public_parameters=PublicParameters(self._catalogue, self._upstream),
        )
        self._ec2: Ec2Api | None = None
        self._ssm: SsmApi | None = None

    async def startup(self) -> None:
        """Load the service models and end what an earlier server left behind."""
        answered = {"ec2": self._ec2_operations, "ssm": self._ssm_operations, "iam": {}}
        cache = self._state_dir / "cache" / "models"
        wanted = {service: {*asked, *answered[service]} for service, asked in ASKED_OF_THE_EMULATOR.items()}
        models = await asyncio.gather(
            *(asyncio.to_thread(load_model, service, names, cache) for service, names in wanted.items())
        )
        self._models.update(zip(wanted, models, strict=True))
        self._ec2 = Ec2Api(self._models["ec2"], self._ec2_operations, self._rights)
        self._ssm = SsmApi(self._models["ssm"], self._ssm_operations, self._rights)
        await self._keeper.startup()

    async def shutdown(self) -> None:
        """End every machine; afterwards none of their processes is left."""
        self._interruptions.shutdown()
        self._run_command.shutdown()
        await self._keeper.shutdown()
        await self._events.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and note it where somebody counts."""
        await self._requests.answer(self._answer_or_hand_on, scope, receive, send)

    async def _answer_or_hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request about machines; everything else is the emulator's."""
        service = _service(scope)
        if service is None:
            await self._app(scope, receive, send)
            return
        request = await read_request(scope, receive)
        response = await self._answer(service, request)
        if response is None:
            await self._app(scope, replayed(request.body, receive), send)
        else:
            await send_response(send, response)

    async def _answer(self, service: str, request: Request) -> Response | None:
        """The answer, or None where the call is the emulator's."""
        assert self._ec2 is not None, "the front was not started"
        assert self._ssm is not None, "the front was not started"
        if service == "metadata":
            return await self._metadata.answer(request)
        if service == "faults":
            return self._faults.answer(request)
        if service == "quotas":
            return self._quotas.answer(request.headers["x-amz-target"].removeprefix(QUOTAS_TARGET), request.body)
        if service == "price list":
            target = request.headers["x-amz-target"]
            return self._price_list.answer(target.removeprefix(PRICE_LIST_TARGET), request.body)
        if service == "ssm":
            action = request.headers["x-amz-target"].removeprefix(_SSM_TARGET)
            return await self._ssm.answer(action, request.body) if self._ssm.owns(action, request.body) else None
        form = request.form()
        action = form.get("Action", "")
        if form.get("Version") != _EC2_VERSION or not self._ec2.owns(action):
            return None
        return await self._ec2.answer(action, form)


def _service(scope: Scope) -> str | None:
    """Which service of ours a request may be for, from what stands in its head; None where it cannot be one.

    Bodies of others are not read, for they may be large.
    """
    if scope["type"] != "http":
        return None
    if scope["path"].startswith(METADATA_PREFIX):
        return "metadata"
    if scope["path"].startswith(FAULTS_PREFIX):
        return "faults"
    headers = scope_headers(scope)
    if headers.get("x-amz-target", "").startswith(_SSM_TARGET):
        return "ssm"
    if headers.get("x-amz-target", "").startswith(QUOTAS_TARGET):
        return "quotas"
    if headers.get("x-amz-target", "").startswith(PRICE_LIST_TARGET):
        return "price list"
    if "x-amz-target" in headers or scope["path"] != "/":
        return None
    signed_for = _SCOPE_SERVICE.search(headers.get("authorization", ""))
    if signed_for is not None:
        return "ec2" if signed_for[1] == "ec2" else None
    return "ec2" if headers.get("content-type", "").startswith(_FORM) else None
