"""What was allowed at deployment beyond what the stack itself needs: data to read, policies, other roles to pass.

A policy of its own under a condition, for a statement without a resource is refused by IAM.
"""

from aws_cdk import Aws, CfnCondition, Fn
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.access import allow
from stacks.constructs.parameters import Parameters


class Allowances(Construct):
    """Adds to the machines' role and to the launching function's what parameters name."""

    def __init__(
        self, scope: Construct, construct_id: str, *, parameters: Parameters, machine: iam.Role, launcher: iam.IRole
    ) -> None:
        super().__init__(scope, construct_id)
        buckets = Fn.split(",", parameters.data_buckets)
        # Of "a,b" first "a/*,b", then "a/*,b/*".
        objects = Fn.split(",", f"{Fn.join('/*,', buckets)}/*")
        self._policy(
            "ReadData",
            parameters.has_data_buckets,
            machine,
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
        role = machine.node.default_child
        assert isinstance(role, iam.CfnRole)
        role.add_property_override(
            "ManagedPolicyArns",
            Fn.condition_if(
                parameters.has_machine_policies.logical_id, Fn.split(",", parameters.machine_policies), Aws.NO_VALUE
            ),
        )

    def _policy(self, name: str, condition: CfnCondition, role: iam.IRole, *statements: iam.PolicyStatement) -> None:
        policy = iam.Policy(self, name, roles=[role], statements=list(statements))
        resource = policy.node.default_child
        assert isinstance(resource, iam.CfnPolicy)
        resource.cfn_options.condition = condition
