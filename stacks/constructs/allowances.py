"""What was allowed at deployment beyond what the stack itself needs: data to read, policies, other roles to pass.

A policy of its own under a condition, for a statement without a resource is refused by IAM.
"""

from aws_cdk import Aws, CfnCondition, Fn
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.access import allow
from stacks.constructs.machine import Machine
from stacks.constructs.parameters import Parameters


class Allowances(Construct):
    """Adds to the machines' role and to the launching function's what parameters name, and to other roles what agents
    need."""

    def __init__(
        self, scope: Construct, construct_id: str, *, parameters: Parameters, machine: Machine, launcher: iam.IRole
    ) -> None:
        super().__init__(scope, construct_id)
        buckets = Fn.split(",", parameters.data_buckets)
        # Of "a,b" first "a/*,b", then "a/*,b/*".
        objects = Fn.split(",", f"{Fn.join('/*,', buckets)}/*")
        self._policy(
            "ReadData",
            parameters.has_data_buckets,
            machine.role,
            allow("s3:GetObject", on=objects),
            allow("s3:ListBucket", "s3:GetBucketLocation", on=buckets),
        )
        self._policy(
            "PassRoles",
            parameters.has_passed_roles,
            launcher,
            allow(
                "iam:PassRole",
                on=Fn.split(",", parameters.passed_roles),
                when={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            ),
        )
        others = self._policy("AgentOfPassedRoles", parameters.has_passed_roles, machine.role, *machine.statements)
        others.add_property_override("Roles", Fn.split(",", parameters.passed_role_names))
        role = machine.role.node.default_child
        assert isinstance(role, iam.CfnRole)
        role.add_property_override(
            "ManagedPolicyArns",
            Fn.condition_if(
                parameters.has_machine_policies.logical_id, Fn.split(",", parameters.machine_policies), Aws.NO_VALUE
            ),
        )

    def _policy(
        self, name: str, condition: CfnCondition, role: iam.IRole, *statements: iam.PolicyStatement
    ) -> iam.CfnPolicy:
        policy = iam.Policy(self, name, roles=[role], statements=list(statements))
        resource = policy.node.default_child
        assert isinstance(resource, iam.CfnPolicy)
        resource.cfn_options.condition = condition
        return resource


def allowed_profiles(parameters: Parameters, machine: Machine) -> str:
    """What runs may name as their instance profile: `name:role id`, the stack's own first."""
    own = Fn.join(":", [machine.profile.ref, machine.role.role_id])
    both = Fn.join(",", [own, parameters.instance_profiles])
    return Fn.condition_if(parameters.has_passed_roles.logical_id, both, own).to_string()
