"""What a call about machines needs of its caller: which action, on which resources, under which condition keys.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2" and "... for AWS
Systems Manager"; EC2 User Guide, "EC2 Fleet prerequisites"; IAM User Guide, "Grant a user permissions to pass a role to
an AWS service". Who calls, and what their policies say, is asked of a `Judge`; the emulator brings it.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from runctl.local.machines.catalogue import SPOT
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine
from runctl.local.machines.wire.errors import AwsError

Json = dict[str, Any]
Keys = Mapping[str, object]

_NO_KEYS: Final[Keys] = {}
_ON_INSTANCES: Final = {
    "GetConsoleOutput": "InstanceId",
    "RebootInstances": "InstanceIds",
    "StartInstances": "InstanceIds",
    "StopInstances": "InstanceIds",
    "TerminateInstances": "InstanceIds",
}
_COME_WITH_A_MACHINE: Final = frozenset({"network-interface", "volume"})
_TAGGING: Final = frozenset({"CreateTags", "DeleteTags"})
_AFTER_RESOLVING: Final = frozenset({"CreateFleet", "RunInstances"})
"""Calls whose resources are known only once templates, subnets and images are looked up."""

_KINDS: Final = {
    "eni": "network-interface",
    "fleet": "fleet",
    "i": "instance",
    "lt": "launch-template",
    "sg": "security-group",
    "sir": "spot-instances-request",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
}
_EC2_MAY_NOT: Final = "UnauthorizedOperation"
_SSM_MAY_NOT: Final = "AccessDeniedException"


class Judge(Protocol):
    """Whoever knows the caller of the request at hand."""

    @property
    def caller_arn(self) -> str:
        """The caller, as a refusal names it."""
        ...

    def allows(self, action: str, resource_arn: str, keys: Keys) -> bool:
        """Whether the caller's policies allow it. `keys` are condition keys, in small letters."""
        ...


@dataclass(frozen=True)
class Anybody:
    """Lets everything pass: there is nobody to ask."""

    caller_arn: str = "anybody"

    def allows(self, action: str, resource_arn: str, keys: Keys) -> bool:
        """Yes."""
        del action, resource_arn, keys
        return True


JUDGE: ContextVar[Judge] = ContextVar("runctl_local_judge", default=Anybody())  # noqa: B039 - it has no state
"""The judge of the request at hand."""


@dataclass(frozen=True)
class _Place:
    """ARNs of one account and Region."""

    region: str
    account_id: str

    def ec2(self, kind: str, name: str = "*") -> str:
        account = "" if kind in ("image", "snapshot") else self.account_id
        return f"arn:aws:ec2:{self.region}:{account}:{kind}/{name}"

    def document(self, name: str) -> str:
        owner = "" if name.startswith("AWS-") else self.account_id
        return f"arn:aws:ssm:{self.region}:{owner}:document/{name}"

    def parameter(self, name: str) -> str:
        owner = "" if name.startswith("/aws/") else self.account_id
        return f"arn:aws:ssm:{self.region}:{owner}:parameter/{name.lstrip('/')}"


@dataclass(frozen=True)
class Rights:
    """Refuses what the caller may not do."""

    keeper: MachineKeeper
    region: str
    account_id: str
    _place: _Place = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", _Place(self.region, self.account_id))

    def check_ec2(self, action: str, parameters: Json) -> None:
        """Check a call of EC2; raises `UnauthorizedOperation`. A launch is checked by `check_launch` as well."""
        if action in _ON_INSTANCES:
            named: str | list[str] = parameters.get(_ON_INSTANCES[action]) or []
            for instance_id in [named] if isinstance(named, str) else named:
                # One that is long gone has no tags, so that a condition on them does not hold.
                machine = self.keeper.get(instance_id)
                keys = _machine_keys(machine) if machine is not None else _NO_KEYS
                self._need(f"ec2:{action}", self._place.ec2("instance", instance_id), keys)
        elif action in _TAGGING:
            for resource_id in parameters["Resources"]:
                self._need(f"ec2:{action}", self._named(resource_id), self._tagging_keys(resource_id, parameters))
        elif action not in _AFTER_RESOLVING:
            self._need(f"ec2:{action}", "*", _NO_KEYS)

    def check_fleet(self, template_ids: Iterable[str], tags: Mapping[str, str]) -> None:
        """Check that a fleet may be made of these templates, and tagged so."""
        self._need("ec2:CreateFleet", self._place.ec2("fleet"), _request_tags(tags))
        for template_id in template_ids:
            self._need("ec2:CreateFleet", self._place.ec2("launch-template", template_id), _NO_KEYS)
        if tags:
            created = {**_request_tags(tags), "ec2:createaction": "CreateFleet"}
            self._need("ec2:CreateTags", self._place.ec2("fleet"), created)

    def check_launch(
        self, machine: Machine, template_id: str, tags: Mapping[str, str], tagged_types: frozenset[str]
    ) -> None:
        """Check that this machine may be launched, tagged and given its role; raises `UnauthorizedOperation`.

        `tagged_types` are the types of resource that are tagged with it.
        """
        place = self._place
        template = place.ec2("launch-template", template_id) if template_id else None
        keys: Json = {
            "ec2:instancetype": machine.instance_type,
            "ec2:instancemarkettype": machine.lifecycle,
            "ec2:instanceprofile": machine.profile_arn,
            "ec2:region": self.region,
            "ec2:launchtemplate": template,
            "ec2:availabilityzone": machine.zone,
        }
        tagged = _request_tags(tags)
        resources = {
            place.ec2("image", machine.image_id): keys,
            place.ec2("instance"): {**keys, **tagged},
            place.ec2("network-interface"): {**keys, "ec2:subnet": place.ec2("subnet", machine.subnet_id)},
            place.ec2("subnet", machine.subnet_id): keys,
            place.ec2("volume"): keys,
            **{place.ec2("security-group", group["GroupId"]): keys for group in machine.security_groups},
        }
        if template is not None:
            resources[template] = keys
        if machine.key_name:
            resources[place.ec2("key-pair", machine.key_name)] = keys
        if machine.lifecycle == SPOT:
            resources[place.ec2("spot-instances-request")] = keys
        for resource, its_keys in resources.items():
            self._need("ec2:RunInstances", resource, its_keys)
        created = {"ec2:createaction": "RunInstances"}
        if tags:
            self._need("ec2:CreateTags", place.ec2("instance"), {**tagged, **created})
        for kind in sorted(tagged_types & _COME_WITH_A_MACHINE):
            self._need("ec2:CreateTags", place.ec2(kind), created)
        if machine.role_arn is not None:
            self._need("iam:PassRole", machine.role_arn, {"iam:passedtoservice": "ec2.amazonaws.com"})

    def check_ssm(self, action: str, parameters: Json) -> None:
        """Check a call of Systems Manager; raises `AccessDeniedException`."""
        names: list[str] = parameters.get("Names") or []
        names = names + [parameters[one] for one in ("Name", "Path") if one in parameters]
        for name in names:
            self._need(f"ssm:{action}", self._place.parameter(name), _NO_KEYS, _SSM_MAY_NOT)
        if not names and action != "SendCommand":
            self._need(f"ssm:{action}", "*", _NO_KEYS, _SSM_MAY_NOT)

    def check_command(self, document: str, machines: Iterable[Machine]) -> None:
        """Check that a document may be run on machines: on it, and on each of them."""
        self._need("ssm:SendCommand", self._place.document(document), _NO_KEYS, _SSM_MAY_NOT)
        for machine in machines:
            keys = {**_machine_keys(machine), **_tag_keys("ssm:resourcetag", machine.tags)}
            self._need("ssm:SendCommand", self._place.ec2("instance", machine.instance_id), keys, _SSM_MAY_NOT)

    def _named(self, resource_id: str) -> str:
        kind = _KINDS.get(resource_id.partition("-")[0])
        return self._place.ec2(kind, resource_id) if kind is not None else "*"

    def _tagging_keys(self, resource_id: str, parameters: Json) -> Keys:
        tags: list[Json] = parameters.get("Tags") or []
        given = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}
        machine = self.keeper.get(resource_id)
        return {**_request_tags(given), **(_machine_keys(machine) if machine is not None else {})}

    def _need(self, action: str, resource_arn: str, keys: Keys, code: str = _EC2_MAY_NOT) -> None:
        judge = JUDGE.get()
        if judge.allows(action, resource_arn, keys):
            return
        who = f"User: {judge.caller_arn} is not authorized to perform: {action} on resource: {resource_arn}"
        sentence = f"{who} because no identity-based policy allows the {action} action"
        if code == _EC2_MAY_NOT:
            raise AwsError(code, f"You are not authorized to perform this operation. {sentence}", 403)
        raise AwsError(code, sentence)


def _machine_keys(machine: Machine) -> Keys:
    return {
        "ec2:instancetype": machine.instance_type,
        "ec2:instancemarkettype": machine.lifecycle,
        **_tag_keys("aws:resourcetag", machine.tags),
        **_tag_keys("ec2:resourcetag", machine.tags),
    }


def _request_tags(tags: Mapping[str, str]) -> Keys:
    """A request that names no tags has no such keys at all."""
    return {**_tag_keys("aws:requesttag", tags), "aws:tagkeys": sorted(tags)} if tags else {}


def _tag_keys(prefix: str, tags: Mapping[str, str]) -> dict[str, object]:
    return {f"{prefix}/{name}".lower(): value for name, value in tags.items()}
