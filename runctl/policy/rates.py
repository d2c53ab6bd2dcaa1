"""AWS's prices of what is not a machine, each with its source and the day on which it was read.

All are list prices of us-east-1, in US dollars, read in November 2026; other Regions ask up to twice as much for some.
"""

from decimal import Decimal
from typing import Final

AS_OF: Final = "2026-11"

MONTH_HOURS: Final = 730
"""The month that AWS's own calculators reckon with."""

# -- beside a machine ------------------------------------------------------------------------------------------------

PUBLIC_ADDRESS_USD_PER_HOUR: Final = Decimal("0.005")
"""A public IPv4 address in use (Amazon VPC pricing, "Public IPv4 Addresses")."""

DISK_USD_PER_GIB_MONTH: Final = Decimal("0.08")
"""A gp3 volume with the 3,000 IOPS and 125 MB/s that come with it, by the second with 60 at least (Amazon EBS pricing,
"General Purpose SSD (gp3) - Storage")."""

DISK_USD_PER_GIB_HOUR: Final = DISK_USD_PER_GIB_MONTH / MONTH_HOURS

# -- data ------------------------------------------------------------------------------------------------------------

TRANSFER_OUT_USD_PER_GB: Final = Decimal("0.09")
"""To the internet, the first 10 TB of a month after the 100 GB that are free; in is free, and so is S3 in the same
Region (Amazon EC2 On-Demand Pricing, "Data Transfer")."""

TRANSFER_BETWEEN_ZONES_USD_PER_GB: Final = Decimal("0.01")
"""Each way (Amazon EC2 On-Demand Pricing, "Data Transfer within the same AWS Region")."""

S3_USD_PER_GB_MONTH: Final = Decimal("0.023")
S3_PUT_USD: Final = Decimal("0.000005")
S3_GET_USD: Final = Decimal("0.0000004")
"""S3 Standard, the first 50 TB, and its requests of the PUT and the GET kind (Amazon S3 pricing)."""

# -- the control plane -----------------------------------------------------------------------------------------------

TRANSITION_USD: Final = Decimal("0.000025")
"""Step Functions, standard workflow; retries count (AWS Step Functions pricing)."""

LAMBDA_REQUEST_USD: Final = Decimal("0.0000002")
LAMBDA_GB_SECOND_USD: Final = Decimal("0.0000133334")
"""AWS Lambda pricing, Arm, the first 7.5 billion GB-seconds of a month."""

DYNAMODB_WRITE_USD: Final = Decimal("0.000000625")
DYNAMODB_READ_USD: Final = Decimal("0.000000125")
"""On-demand request units: a KiB written, twice that in a transaction; 4 KiB read strongly consistent, half of it
eventually (Amazon DynamoDB pricing, "On-Demand Capacity")."""

DYNAMODB_USD_PER_GB_MONTH: Final = Decimal("0.25")
"""The standard table class, after the 25 GB that are free (Amazon DynamoDB pricing, "Data storage")."""

EVENT_USD: Final = Decimal("0.000001")
"""A custom event put on a bus; events of AWS's own services are free (Amazon EventBridge pricing)."""

SCHEDULE_USD: Final = Decimal("0.000001")
"""An invocation by EventBridge Scheduler after the 14 million that are free a month (Amazon EventBridge pricing)."""

SNS_PUBLISH_USD: Final = Decimal("0.0000005")
SNS_EMAIL_USD: Final = Decimal("0.00002")
"""After the first million requests and thousand e-mails of a month (Amazon SNS pricing)."""

LOG_USD_PER_GB: Final = Decimal("0.50")
LOG_USD_PER_GB_MONTH: Final = Decimal("0.03")
"""CloudWatch Logs, taken in and kept, the standard class (Amazon CloudWatch pricing)."""

ALARM_USD_PER_MONTH: Final = Decimal("0.10")
METRIC_USD_PER_MONTH: Final = Decimal("0.30")
DASHBOARD_USD_PER_MONTH: Final = Decimal(3)
PUT_METRIC_USD: Final = Decimal("0.00001")
"""A standard alarm, one of the first 10,000 custom metrics, a dashboard, a call of PutMetricData (Amazon CloudWatch
pricing)."""

FREE_ALARMS: Final = 10
FREE_METRICS: Final = 10
FREE_DASHBOARDS: Final = 3
FREE_CLOUDWATCH_CALLS: Final = 1_000_000
"""A month and account, for ever (Amazon CloudWatch pricing, "Free tier")."""

SKYPILOT_CONTROLLER_USD_PER_HOUR: Final = Decimal("0.25")
"""What SkyPilot's documentation names for the machine that its managed jobs' controller runs on all the time
("Managed Jobs", "Jobs controller")."""
