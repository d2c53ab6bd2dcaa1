"""What happens by the clock."""

from collections.abc import Callable

from runctl.model.names import Function, Parameter, Variable
from stacks.constructs.identity import id_of
from tests.infrastructure.deployed_template import ACCOUNT, REGION, DeployedTemplate


def test_rates_are_parameters(deploy: Callable[..., DeployedTemplate]) -> None:
    schedules = deploy(
        **{Parameter.COST_WATCH_RATE: "rate(1 minute)", Parameter.REAPER_RATE: "rate(2 minutes)"}
    ).of_type("AWS::Scheduler::Schedule")

    assert {name: schedule["ScheduleExpression"] for name, schedule in schedules.items()} == {
        "SchedulesWatchCosts": "rate(1 minute)",
        "SchedulesReapMachines": "rate(2 minutes)",
        "SchedulesDigest1": "cron(0 7 * * ? *)",
        "SchedulesDigest7": "cron(15 7 ? * MON *)",
    }


def test_schedules_call_their_function_and_keep_what_they_could_not_deliver(template: DeployedTemplate) -> None:
    schedules = template.of_type("AWS::Scheduler::Schedule")

    assert {schedule["Target"]["Arn"] for schedule in schedules.values()} == {
        f"<Functions{id_of(function)}.Arn>"
        for function in (Function.WATCH_COSTS, Function.REAP_MACHINES, Function.SEND_DIGEST)
    }
    assert {schedule["Target"]["DeadLetterConfig"]["Arn"] for schedule in schedules.values()} == {
        "<DeadLettersQueue.Arn>"
    }


def test_one_time_schedules_may_call_the_stop_function_only(template: DeployedTemplate) -> None:
    policy = template.of_type("AWS::IAM::Policy")["OneTimeSchedulesRoleDefaultPolicy"]
    allowed = {statement["Action"]: statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]}

    assert allowed == {
        "lambda:InvokeFunction": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:runctl-stop_run",
        "sqs:SendMessage": "<DeadLettersQueue.Arn>",
    }


def test_functions_are_told_the_group_and_the_function_that_exist(template: DeployedTemplate) -> None:
    told = template.of_type("AWS::Lambda::Function")["FunctionsStopRun"]["Environment"]["Variables"]
    (group,) = template.of_type("AWS::Scheduler::ScheduleGroup").values()
    stop_run = template.of_type("AWS::Lambda::Function")["FunctionsStopRun"]["FunctionName"]

    assert told[Variable.SCHEDULE_GROUP] == group["Name"]
    assert told[Variable.STOP_RUN_FUNCTION_ARN].endswith(f":function:{stop_run}")
