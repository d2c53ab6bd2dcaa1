"""The one stack: it composes, the constructs build."""

from aws_cdk import Aws, CfnElement, CfnOutput, DefaultStackSynthesizer, Stack, Tags
from aws_cdk import aws_events as events
from constructs import Construct

import runctl
from runctl.model.names import Function, Output, Variable
from stacks.asset_keys import AssetKeys
from stacks.constructs.access import Resources
from stacks.constructs.alarms import Alarms
from stacks.constructs.allowances import Allowances, allowed_profiles
from stacks.constructs.backstop import Backstop
from stacks.constructs.dashboard import Dashboard
from stacks.constructs.dead_letters import DeadLetters
from stacks.constructs.event_rules import EventRules
from stacks.constructs.figures import Figures
from stacks.constructs.functions import Code, Functions
from stacks.constructs.identity import STACK_TAG, Names
from stacks.constructs.machine import Machine
from stacks.constructs.network import Network
from stacks.constructs.notifications import Notifications
from stacks.constructs.parameters import declare_parameters
from stacks.constructs.schedules import OneTimeSchedules, PeriodicSchedules
from stacks.constructs.storage import Storage
from stacks.logical_ids import logical_id_of
from stacks.state_machine.machine import StateMachine


class ControllerStack(Stack):
    """Everything that runs, and what it keeps. The same template for every target; parameters differ."""

    def __init__(self, scope: Construct, construct_id: str, *, asset_keys: AssetKeys) -> None:
        super().__init__(
            scope,
            construct_id,
            description="runctl: trains models on EC2 with no server of its own.",
            # The rule that the CDK would add reads a parameter of the bootstrap stack, which not every target has.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
            analytics_reporting=False,
        )
        # The CDK names a function's role among its dependencies although the function refers to it anyway.
        self.template_options.metadata = {"cfn-lint": {"config": {"ignore_checks": ["W3005"]}}}
        names = Names(self)
        parameters = declare_parameters(self)
        storage = Storage(self, "Storage", is_protected=parameters.is_protected)
        network = Network(self, "Network", parameters=parameters)
        bus = events.EventBus(self, "Bus", event_bus_name=f"{Aws.STACK_NAME}-machines")
        notifications = Notifications(self, "Notifications", parameters=parameters)
        topic = notifications.topic
        Backstop(self, "Backstop", parameters=parameters, topic_arn=topic.topic_arn)
        dead_letters = DeadLetters(self, "DeadLetters")
        machine = Machine(
            self,
            "Machine",
            names=names,
            bucket=storage.bucket,
            bus=bus,
            asset_bucket=parameters.asset_bucket,
            asset_keys=asset_keys,
            security_group_id=network.security_group.attr_group_id,
            profile_name=parameters.machine_profile,
        )
        profiles = allowed_profiles(parameters, machine)
        one_time = OneTimeSchedules(self, "OneTimeSchedules", names=names, dead_letters=dead_letters.queue)
        functions = Functions(
            self,
            "Functions",
            names=names,
            code=Code(parameters.asset_bucket, asset_keys.lambda_key),
            resources=Resources(
                stack=self,
                names=names,
                runs=storage.runs,
                budgets=storage.budgets,
                bucket_arn=storage.bucket.bucket_arn,
                launch_template_id=machine.launch_template.ref,
                security_group_id=network.security_group.attr_group_id,
                machine_role_arn=machine.role.role_arn,
                schedule_role_arn=one_time.role.role_arn,
                topic_arn=topic.topic_arn,
                metric_namespace=names.metric_namespace,
            ),
            variables={
                Variable.STACK_NAME: Aws.STACK_NAME,
                Variable.RUNS_TABLE: storage.runs.table_name,
                Variable.BUDGETS_TABLE: storage.budgets.table_name,
                Variable.BUCKET: storage.bucket.bucket_name,
                Variable.BUS_NAME: bus.event_bus_name,
                Variable.LAUNCH_TEMPLATE_ID: machine.launch_template.ref,
                Variable.SUBNET_IDS: network.subnet_ids,
                Variable.MACHINE_ROLE_ID: machine.role.role_id,
                Variable.INSTANCE_PROFILES: profiles,
                Variable.MACHINE_LOG_GROUP: machine.log_group.log_group_name,
                Variable.TOPIC_ARN: topic.topic_arn,
                Variable.STATE_MACHINE_ARN: names.state_machine_arn,
                Variable.STOP_RUN_FUNCTION_ARN: names.function_arn(Function.STOP_RUN),
                Variable.SCHEDULE_GROUP: names.schedule_group,
                Variable.SCHEDULE_ROLE_ARN: one_time.role.role_arn,
                Variable.DEAD_LETTER_ARN: dead_letters.queue.queue_arn,
                Variable.METRIC_NAMESPACE: names.metric_namespace,
            },
            dead_letters=dead_letters.queue,
        )
        launcher = functions[Function.LAUNCH_MACHINE].role
        assert launcher is not None
        Allowances(self, "Allowances", parameters=parameters, machine=machine, launcher=launcher)
        notifications.tell(functions[Function.TELL_SLACK], dead_letters.queue)
        dead_letters.accept_from_topic(topic.topic_arn)
        EventRules(self, "Rules", names=names, bus=bus, functions=functions, dead_letters=dead_letters)
        PeriodicSchedules(
            self,
            "Schedules",
            functions=functions,
            rates={
                Function.WATCH_COSTS: parameters.cost_watch_rate,
                Function.REAP_MACHINES: parameters.reaper_rate,
            },
            digests={1: parameters.daily_digest, 7: parameters.weekly_digest},
            dead_letters=dead_letters.queue,
        )
        state_machine = StateMachine(self, "StateMachine", names=names, functions=functions)
        figures = Figures(
            names=names, dead_letters=dead_letters.queue, functions=functions, state_machine=state_machine
        )
        Alarms(self, "Alarms", figures=figures, topic=topic)
        Dashboard(self, "Board", figures=figures, wanted=parameters.has_dashboard)
        self._outputs(
            {
                Output.RUNS_TABLE: storage.runs.table_name,
                Output.BUDGETS_TABLE: storage.budgets.table_name,
                Output.BUCKET: storage.bucket.bucket_name,
                Output.BUS_NAME: bus.event_bus_name,
                Output.STATE_MACHINE_ARN: state_machine.resource.state_machine_arn,
                Output.STOP_RUN_FUNCTION: functions[Function.STOP_RUN].function_name,
                Output.MACHINE_LOG_GROUP: machine.log_group.log_group_name,
                Output.TOPIC_ARN: topic.topic_arn,
                Output.DEAD_LETTER_URL: dead_letters.queue.queue_url,
                Output.INSTANCE_PROFILES: profiles,
                Output.VERSION: runctl.__version__,
            }
        )
        Tags.of(self).add(STACK_TAG, Aws.STACK_NAME)

    def _allocate_logical_id(self, cfn_element: CfnElement) -> str:
        """Called by the CDK for every resource, parameter, condition and output without an id of its own."""
        return logical_id_of(cfn_element)

    def _outputs(self, values: dict[Output, str]) -> None:
        """How the command line finds what was deployed."""
        for name, value in values.items():
            CfnOutput(self, f"{name.value}Output", value=value).override_logical_id(name.value)
