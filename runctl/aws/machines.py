"""EC2: `Machines` of runctl/controller/ports.py."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.aws.images import image_parameter
from runctl.aws.views import fleet_answer, machine_type_view, machine_view
from runctl.errors import InvalidSpec
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import FleetAnswer, MachineState, MachineType, MachineView, Subnet
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import FilterTypeDef
    from types_boto3_ssm import SSMClient

_T = TypeVar("_T")

_UNKNOWN_INSTANCE: Final = "InvalidInstanceID.NotFound"

_UNSUPPORTED: Final = "UnsupportedOperation"
"""What StopInstances answers for a one-time spot instance, and GetConsoleOutput for `Latest` of one that is not Nitro
(EC2 API Reference, "Error codes")."""

_CONSOLE_CHARACTERS: Final = 16_384
"""The last of the 64 KB that EC2 keeps: more than the user data prints in all its tries."""

_UNAUTHORIZED: Final = "UnauthorizedOperation"

_TYPES_IN_A_CALL: Final = 100
"""Limit of DescribeInstanceTypes (EC2 API Reference)."""

_VALUES_OF_A_FILTER: Final = 200
"""Limit of a filter's values (EC2 API Reference, "Filter")."""

_NOT_ENDED: Final = tuple(state.value for state in MachineState if not state.is_final)


class Ec2Machines:
    """Launches, describes and ends machines. SSM is asked for the ids of images."""

    def __init__(self, client: "EC2Client", ssm: "SSMClient") -> None:
        self._client = client
        self._ssm = ssm

    def create_fleet(self, request: Mapping[str, Any]) -> FleetAnswer:
        """Call CreateFleet with exactly these arguments.

        Type `instant` answers machines *and* refusals, and possibly no machine with HTTP 200 (EC2 User Guide,
        "EC2 Fleet of type instant").
        """
        with aws_errors():
            answer = self._client.create_fleet(**request)
        return fleet_answer(answer)

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        """Describe one instance; None when EC2 does not know it. Just after a launch that does not mean gone."""
        with aws_errors():
            try:
                answer = self._client.describe_instances(InstanceIds=[instance_id])
            except ClientError as error:
                if code_of(error) == _UNKNOWN_INSTANCE:
                    return None
                raise
        found = [instance for reservation in answer["Reservations"] for instance in reservation.get("Instances", [])]
        return machine_view(found[0]) if found else None

    def machines_of_run(self, run_id: RunId) -> tuple[MachineView, ...]:
        """Describe all instances with the run's tag, ended ones too."""
        return tuple(self._described([{"Name": f"tag:{Tag.RUN.value}", "Values": [run_id]}]))

    def tagged_machines(self) -> Iterator[MachineView]:
        """Describe all instances that carry our run tag and have not ended, all pages."""
        return self._described(
            [
                {"Name": "tag-key", "Values": [Tag.RUN.value]},
                {"Name": "instance-state-name", "Values": list(_NOT_ENDED)},
            ]
        )

    def views(self, instance_ids: Iterable[InstanceId]) -> dict[InstanceId, MachineView]:
        """Describe many instances; those that EC2 does not know are left out, as a filter does."""
        wanted = list(dict.fromkeys(instance_ids))
        found: dict[InstanceId, MachineView] = {}
        for start in range(0, len(wanted), _VALUES_OF_A_FILTER):
            chunk = wanted[start : start + _VALUES_OF_A_FILTER]
            found.update(
                (view.instance_id, view) for view in self._described([{"Name": "instance-id", "Values": chunk}])
            )
        return found

    def console_output(self, instance_id: InstanceId) -> str:
        """Read the end of what an instance printed to its console; empty while EC2 has nothing.

        Only Nitro instances show what they print now; of the others it is what they printed until shortly after the
        last start (EC2 User Guide, "Troubleshoot instances with unreachable status").
        """
        with aws_errors():
            try:
                answer = self._client.get_console_output(InstanceId=instance_id, Latest=True)
            except ClientError as error:
                if code_of(error) != _UNSUPPORTED:
                    raise
                answer = self._client.get_console_output(InstanceId=instance_id)
        return answer.get("Output", "")[-_CONSOLE_CHARACTERS:]

    def stop(self, instance_id: InstanceId) -> None:
        """Ask EC2 to stop an on-demand instance; its disk stays. Raises InvalidSpec for a spot instance."""
        with aws_errors():
            try:
                self._client.stop_instances(InstanceIds=[instance_id])
            except ClientError as error:
                if code_of(error) != _UNSUPPORTED:
                    raise
                raise InvalidSpec(
                    f"EC2 does not stop {instance_id}: a one-time spot machine can only be ended.",
                    hint=f"End it with: runctl aws terminate {instance_id}",
                ) from error

    def start(self, instance_id: InstanceId) -> None:
        """Ask EC2 to start a stopped instance again."""
        with aws_errors():
            self._client.start_instances(InstanceIds=[instance_id])

    def terminate(self, instance_id: InstanceId) -> None:
        """Ask EC2 to end an instance; one that is gone already is fine.

        What is long gone has no tags left, so that a right which asks for our tag may not hold for it any more: a
        refusal about an instance that EC2 does not know is one about an instance that is gone.
        """
        with aws_errors():
            try:
                self._client.terminate_instances(InstanceIds=[instance_id])
            except ClientError as error:
                code = code_of(error)
                if code == _UNKNOWN_INSTANCE or (code == _UNAUTHORIZED and self.machine(instance_id) is None):
                    return
                raise

    def subnets(self, subnet_ids: Iterable[str]) -> tuple[Subnet, ...]:
        """Describe subnets, in the order given. Raises InvalidSpec that names one EC2 does not know."""
        wanted = list(dict.fromkeys(subnet_ids))
        if not wanted:
            return ()
        found: dict[str, Subnet] = {}
        with aws_errors():
            for page in self._client.get_paginator("describe_subnets").paginate(SubnetIds=wanted):
                for subnet in page["Subnets"]:
                    subnet_id = subnet.get("SubnetId", "")
                    zone = subnet.get("AvailabilityZone", "")
                    found[subnet_id] = Subnet(subnet_id=subnet_id, availability_zone=zone)
        return tuple(_in_order(wanted, found, "subnet"))

    def machine_types(self, names: Iterable[str]) -> tuple[MachineType, ...]:
        """Describe instance types, in the order given. Raises InvalidSpec that names one EC2 does not know."""
        wanted = list(dict.fromkeys(names))
        found: dict[str, MachineType] = {}
        with aws_errors():
            for start in range(0, len(wanted), _TYPES_IN_A_CALL):
                chunk = wanted[start : start + _TYPES_IN_A_CALL]
                # EC2's stubs list all types as literals; ours are whatever a person typed.
                request: dict[str, Any] = {"InstanceTypes": chunk}
                for page in self._client.get_paginator("describe_instance_types").paginate(**request):
                    for described in page["InstanceTypes"]:
                        view = machine_type_view(described)
                        found[view.name] = view
        return tuple(_in_order(wanted, found, "instance type"))

    def offered_types(self, option: PurchaseOption) -> Iterator[MachineType]:
        """Describe all types of the Region that a training may be put on unnamed, all pages.

        x86-64 on Nitro, for older GPUs are not among those that the current images support (Deep Learning AMI Developer
        Guide, release notes); neither bare metal nor burstable, as attribute-based selection has it (EC2 API Reference,
        InstanceRequirements).
        """
        wanted = {
            "hypervisor": "nitro",
            "bare-metal": "false",
            "burstable-performance-supported": "false",
            "processor-info.supported-architecture": "x86_64",
            "supported-usage-class": option.value,
        }
        request: dict[str, Any] = {"Filters": [{"Name": name, "Values": [value]} for name, value in wanted.items()]}
        with aws_errors():
            for page in self._client.get_paginator("describe_instance_types").paginate(**request):
                yield from map(machine_type_view, page["InstanceTypes"])

    def image_id(self, machine_type: MachineType) -> str:
        """Resolve the current AMI of an architecture and accelerator from AWS's public SSM parameters."""
        parameter = image_parameter(machine_type)
        with aws_errors():
            try:
                answer = self._ssm.get_parameter(Name=parameter)
            except ClientError as error:
                if code_of(error) != "ParameterNotFound":
                    raise
                raise InvalidSpec(
                    f"AWS publishes no image for {machine_type.name} in this Region ({parameter}).",
                    hint="Choose another type with --instance-type, or another Region.",
                ) from error
        return answer["Parameter"].get("Value", "")

    def root_device(self, image_id: str) -> str:
        """Name the device that an AMI starts from: `/dev/xvda` of Amazon Linux, `/dev/sda1` of Ubuntu."""
        with aws_errors():
            images = self._client.describe_images(ImageIds=[image_id])["Images"]
        found = images[0].get("RootDeviceName") if images else None
        if found is None:
            raise InvalidSpec(
                f"The image {image_id} has no root volume in this Region.",
                hint="Leave out --disk, or name another image.",
            )
        return found

    def _described(self, filters: "list[FilterTypeDef]") -> Iterator[MachineView]:
        with aws_errors():
            for page in self._client.get_paginator("describe_instances").paginate(Filters=filters):
                for reservation in page["Reservations"]:
                    for instance in reservation.get("Instances", []):
                        yield machine_view(instance)


def _in_order(wanted: list[str], found: dict[str, _T], kind: str) -> Iterator[_T]:
    for name in wanted:
        if name not in found:
            raise InvalidSpec(f"EC2 knows no {kind} {name} in this Region.", hint="Check the spelling and the Region.")
        yield found[name]
