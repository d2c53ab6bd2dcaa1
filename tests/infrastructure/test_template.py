"""The template as a whole: the same for every target, readable, and clean."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks

import runctl
from runctl.model.names import Output, Parameter
from stacks.app import build_app, publish_assets, template_of
from stacks.assembly.layout import BOOTSTRAP, REPOSITORY
from stacks.asset_keys import AssetKeys
from stacks.build_assembly import Asset, Assets, synthesize
from tests.infrastructure.deployed_template import DeployedTemplate

LARGEST = 1_000_000
"""Bytes that CloudFormation takes from a bucket (its User Guide, "Understand CloudFormation quotas")."""

KNOWN_VIOLATIONS = {
    "F3033": "it takes AssetBucket's empty default for the bucket's name, though a condition stands before it",
    "F3031": "it takes MachinePolicies' empty default for a policy's ARN, though a condition stands before it",
    "E1151": "it takes VpcId's empty default for the VPC, though a condition stands before it",
    "AwsSolutions-IAM5": "every wildcard has its reason in test_permissions",
    "AwsSolutions-L1": "the runtime is the one that the dependencies are locked and tried for",
    "AwsSolutions-S1": "access logs cost more than the objects; data events are the account's to switch on",
    "AwsSolutions-SQS3": "the queue is the dead-letter queue; rules and functions name it by ARN",
    "AwsSolutions-VPC7": "flow logs are paid for; nothing listens in this network",
}
"""What the CDK's validator and cdk-nag say, and why it is so."""

KEYS = AssetKeys("a.zip", "b.gz", "b", BOOTSTRAP.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def assets(assembly: Path) -> Assets:
    """The archives that the delivered template names."""
    folder = assembly / "assets"
    return Assets(Asset(folder / "lambda.zip", ".zip"), Asset(folder / "agent.tar.gz", ".gz"))


def test_a_second_synthesis_gives_the_same_bytes(assets: Assets, template_bytes: bytes) -> None:
    assert synthesize(assets.keys) == template_bytes


def test_the_template_fits(template_bytes: bytes) -> None:
    assert len(template_bytes) < LARGEST


def test_account_and_region_stand_nowhere(template_bytes: bytes) -> None:
    text = template_bytes.decode()

    assert not re.search(r"\b\d{12}\b", text)
    assert not re.search(r"\b(us|eu|ap)-[a-z]+-\d\b", text)


def test_parameters_are_all_that_may_differ_and_have_defaults(template: DeployedTemplate) -> None:
    parameters = template.body["Parameters"]

    assert set(parameters) == {parameter.value for parameter in Parameter} | {"ZoneCount"}
    assert all("Default" in parameter and parameter["Description"] for parameter in parameters.values())
    assert {parameter["Type"] for parameter in parameters.values()} == {"String"}


def test_outputs_are_those_that_the_command_line_reads(template: DeployedTemplate) -> None:
    outputs = template.resolve({name: output["Value"] for name, output in template.body["Outputs"].items()})

    assert set(outputs) == {output.value for output in Output}
    assert outputs[Output.BUS_NAME] == "<Bus>"
    assert outputs[Output.STOP_RUN_FUNCTION] == "<FunctionsStopRun>"
    assert outputs[Output.VERSION] == runctl.__version__


def test_logical_ids_are_words_without_a_hash(template: DeployedTemplate) -> None:
    hashed = [logical_id for logical_id in template.body["Resources"] if re.search(r"[0-9A-F]{8}$", logical_id)]

    assert hashed == []


def test_nothing_of_the_cdks_own_is_in_it(template: DeployedTemplate) -> None:
    assert not template.of_type("AWS::CDK::Metadata")
    assert not template.of_type("AWS::CloudFormation::CustomResource")
    assert "BootstrapVersion" not in template.body["Parameters"]


def test_cfn_lint_has_nothing_to_say(assembly: Path) -> None:
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--non-zero-exit-code", "warning"]
    told = subprocess.run(
        [*command, "--", str(assembly / "template.json")], capture_output=True, text=True, check=False
    )

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_the_cdk_command_synthesizes_the_very_same(
    assets: Assets, template_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched_on = {f"aws:cdk:{name}": True for name in ("enable-path-metadata", "enable-asset-metadata")}
    monkeypatch.setenv("CDK_CONTEXT_JSON", json.dumps(switched_on))

    assert template_of(build_app(assets.keys, tmp_path)) == template_bytes


def test_no_feature_flag_makes_the_cdk_command_build_another_template() -> None:
    settings = json.loads((REPOSITORY / "cdk.json").read_bytes())

    assert "context" not in settings


def test_cdk_deploy_uploads_what_the_template_names(assets: Assets, template_bytes: bytes, tmp_path: Path) -> None:
    app = build_app(assets.keys, tmp_path)

    publish_assets(app, assets.files)

    listed = json.loads((tmp_path / "runctl.assets.json").read_bytes())["files"]
    keys = {d["objectKey"] for entry in listed.values() for d in entry["destinations"].values()}
    assert {assets.functions.key, assets.agent.key} <= keys
    assert (tmp_path / "runctl.template.json").read_bytes() == template_bytes


def test_validation_and_cdk_nag_find_nothing_but_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDK_VALIDATION", "true")
    app = build_app(KEYS, tmp_path)
    Validations.of(app).add_plugins(AwsSolutionsChecks())

    with pytest.raises(RuntimeError, match="ValidationFailed"):  # for cdk-nag knows no acceptable wildcard
        app.synth()

    reports = json.loads((tmp_path / "validation-report.json").read_bytes())["pluginReports"]
    found = {violation["ruleName"].partition("[")[0] for report in reports for violation in report["violations"]}
    assert {report["pluginName"] for report in reports} == {"AwsSolutions", "CloudFormation Validate"}
    assert found == set(KNOWN_VIOLATIONS)


def test_a_placeholder_without_a_value_is_refused(tmp_path: Path) -> None:
    keys = AssetKeys("a.zip", "b.gz", "b", 'TOKEN = "@TASK_TOKEN@"\n')

    with pytest.raises(ValueError, match="@TASK_TOKEN@"):
        build_app(keys, tmp_path)
