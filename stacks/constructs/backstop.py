"""A budget of AWS's own, for those who want one that does not rest on runctl."""

from typing import Final

from aws_cdk import Aws
from aws_cdk import aws_budgets as budgets
from constructs import Construct

from stacks.constructs.identity import STACK_TAG
from stacks.constructs.parameters import Parameters

_THRESHOLDS: Final = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))


class Backstop(Construct):
    """A monthly budget over everything that bears the stack's tag; it tells the topic.

    A budget without an action is free (AWS Price List, service AWSBudgets: usage type BudgetsUsage, $0.00 a day).

    AWS reckons from its own bill, hours late. The tag counts once it is active as a cost allocation tag in the account
    that pays (AWS Billing User Guide, "Activating user-defined cost allocation tags"). A filter by a tag that a user
    made is written `user:<key>$<value>` (AWS Budgets API Reference, Budget, "CostFilters").
    """

    def __init__(self, scope: Construct, construct_id: str, *, parameters: Parameters, topic_arn: str) -> None:
        super().__init__(scope, construct_id)
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{Aws.STACK_NAME}-{Aws.REGION}",
                budget_type="COST",
                time_unit="MONTHLY",
                cost_filters={"TagKeyValue": [f"user:{STACK_TAG}${Aws.STACK_NAME}"]},
                budget_limit=budgets.CfnBudget.SpendProperty(amount=1, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[budgets.CfnBudget.SubscriberProperty(address=topic_arn, subscription_type="SNS")],
                )
                for kind, percent in _THRESHOLDS
            ],
        )
        budget.add_property_override("Budget.BudgetLimit.Amount", parameters.aws_budget_usd)
        budget.cfn_options.condition = parameters.has_aws_budget
