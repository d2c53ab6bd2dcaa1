"""Which calls of EC2 and Systems Manager are answered here, and which of their parameters have a meaning."""

from runctl.local.machines.ec2.api import Operation as Ec2Operation
from runctl.local.machines.ec2.instances import Instances
from runctl.local.machines.ec2.offers import Offers
from runctl.local.machines.ec2.run_instances import UNDERSTOOD as RUN_INSTANCES_PARAMETERS
from runctl.local.machines.ec2.run_instances import RunInstances
from runctl.local.machines.ec2.spot import SpotRequests
from runctl.local.machines.ec2.tags import Tags
from runctl.local.machines.fleet import Fleets
from runctl.local.machines.fleet_request import UNDERSTOOD as FLEET_PARAMETERS
from runctl.local.machines.ssm.agents import Agents
from runctl.local.machines.ssm.api import Operation as SsmOperation
from runctl.local.machines.ssm.commands import CommandCalls
from runctl.local.machines.ssm.parameters import PublicParameters

ASKED_OF_THE_EMULATOR = {
    "ec2": (
        "CreateTags",
        "DeleteTags",
        "DescribeImages",
        "DescribeLaunchTemplateVersions",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
    ),
    "iam": ("GetInstanceProfile",),
    "ssm": ("GetParameter", "GetParameters"),
}
"""Calls that are made to the emulator behind the front."""

_PAGED = frozenset({"MaxResults", "NextToken"})


def ec2_operations(
    *,
    fleets: Fleets,
    run_instances: RunInstances,
    instances: Instances,
    offers: Offers,
    spot_requests: SpotRequests,
    tags: Tags,
) -> dict[str, Ec2Operation]:
    """EC2's calls by name."""
    chosen = frozenset({"InstanceIds", "Filters"}) | _PAGED
    return {
        "CreateFleet": Ec2Operation(fleets.create, FLEET_PARAMETERS),
        "CreateTags": Ec2Operation(tags.create, frozenset({"Resources", "Tags"})),
        "DeleteTags": Ec2Operation(tags.delete, frozenset({"Resources", "Tags"})),
        "DescribeImages": Ec2Operation(
            offers.describe_images, frozenset({"ImageIds", "Owners", "Filters", "IncludeDeprecated"})
        ),
        "DescribeInstanceTypeOfferings": Ec2Operation(
            offers.describe_offerings, frozenset({"LocationType", "Filters"}) | _PAGED
        ),
        "DescribeInstanceTypes": Ec2Operation(offers.describe_types, frozenset({"InstanceTypes", "Filters"}) | _PAGED),
        "DescribeSpotInstanceRequests": Ec2Operation(
            spot_requests.describe, frozenset({"SpotInstanceRequestIds", "Filters"}) | _PAGED
        ),
        "DescribeSpotPriceHistory": Ec2Operation(
            offers.spot_price_history,
            frozenset({"InstanceTypes", "AvailabilityZone", "ProductDescriptions", "StartTime", "EndTime", "Filters"})
            | _PAGED,
        ),
        "DescribeTags": Ec2Operation(tags.describe, frozenset({"Filters"})),
        "DescribeInstances": Ec2Operation(instances.describe, chosen),
        "DescribeInstanceStatus": Ec2Operation(instances.describe_status, chosen | {"IncludeAllInstances"}),
        "GetConsoleOutput": Ec2Operation(instances.console_output, frozenset({"InstanceId", "Latest"})),
        "RebootInstances": Ec2Operation(instances.reboot, frozenset({"InstanceIds"})),
        "RunInstances": Ec2Operation(run_instances.run, RUN_INSTANCES_PARAMETERS),
        "StartInstances": Ec2Operation(instances.start, frozenset({"InstanceIds"})),
        "StopInstances": Ec2Operation(instances.stop, frozenset({"InstanceIds"})),
        "TerminateInstances": Ec2Operation(instances.terminate, frozenset({"InstanceIds"})),
    }


def ssm_operations(
    *, agents: Agents, commands: CommandCalls, public_parameters: PublicParameters
) -> dict[str, SsmOperation]:
    """Systems Manager's calls by name."""
    listed = frozenset({"CommandId", "InstanceId", "Filters"}) | _PAGED
    return {
        "CancelCommand": SsmOperation(commands.cancel, frozenset({"CommandId", "InstanceIds"})),
        "DescribeInstanceInformation": SsmOperation(
            agents.describe, frozenset({"InstanceInformationFilterList", "Filters"}) | _PAGED
        ),
        "GetCommandInvocation": SsmOperation(
            commands.get_invocation, frozenset({"CommandId", "InstanceId", "PluginName"})
        ),
        "GetParameter": SsmOperation(public_parameters.get, frozenset({"Name", "WithDecryption"})),
        "GetParameters": SsmOperation(public_parameters.get_some, frozenset({"Names", "WithDecryption"})),
        "GetParametersByPath": SsmOperation(
            public_parameters.get_by_path, frozenset({"Path", "Recursive", "WithDecryption"}) | _PAGED
        ),
        "ListCommandInvocations": SsmOperation(commands.list_invocations, listed | {"Details"}),
        "ListCommands": SsmOperation(commands.list_commands, listed),
        "SendCommand": SsmOperation(
            commands.send,
            frozenset({"InstanceIds", "Targets", "DocumentName", "Parameters", "Comment", "TimeoutSeconds"}),
        ),
    }
