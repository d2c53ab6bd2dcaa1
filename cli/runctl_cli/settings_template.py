"""The file that `runctl init` writes. A test compares its commented defaults with the settings' own."""

from typing import Final

TEMPLATE: Final = """\
# Settings of runctl. Each commented line shows the default; a flag of the command line weighs more than this file.

# Where runs go: "local" is the cloud on this machine, "aws" an AWS account. RUNCTL_TARGET weighs more than this line.
target = "local"

[project]
# Name under which runs are listed together.  Default: the name of this folder.
# name = "my-project"

[sync]
# What is sent to machines although a .gitignore names it, and what is not sent, in the words of .gitignore. What
# exclude names is never sent.
# include = []
# exclude = []
# The most that is sent, in megabytes, before compression.
# max_mb = 500

[run]
# Instance types, the best first; any of them may be launched.
# instance_type = ["t3.medium"]
# What the machines must have, in the place of their types: the cheapest that fit are taken.
# gpus = "1xA10G"
# cpus = "8+"
# memory = "32+"
# How machines are paid for: "on-demand", or "spot" for a fraction of it: EC2 may take them back, and the run resumes.
# purchase = "on-demand"
# Spot runs only: go on on demand when spot pools refuse for ten minutes, or take back two machines in an hour.
# fallback = false
# Size of a machine's disk (gp3), in GiB.  Default: 100.
# disk_gib = 200
# Instance profile of the machines, one that was allowed at deployment.  Default: the deployment's own.
# instance_profile = "runctl-ssm-profile"
# A run saves and stops when it has trained for this long, or cost this many US dollars.
# max_runtime = "24h"
# max_cost = 25.00
# How long to look for a machine when there is no capacity.
# capacity_timeout = "2h"
# What people are told of runs: "none", "end", or "all" (warnings too).
# notify = "all"
# How often a failure of the training itself is tried again.
# retries = 0
# Only failures with one of these exit codes.  Default: all.
# retry_exit_codes = [3, 17]
# Checkpoints that are kept, and whether a run that leaves none has failed.
# keep_checkpoints = 3
# verify_checkpoints = false
# On EC2's notice: "save" and train on while there is time (for scripts that handle SIGUSR1), or "stop" at once.
# on_notice = "save"
# How long a machine may take to answer, and how long it may be silent.
# ready_timeout = "15m"
# heartbeat_timeout = "15m"
# heartbeat_interval = "60s"
# How long a training that is asked to stop may save.
# save_limit = "5m"
# A shell command that runs in the project on the machine, before the training.  Default: none.
# setup = "make data"
# A container image that the training runs in, with the packages that it brings.  Default: none.
# image = "pytorch/pytorch:latest"
# Data of S3 that the training reads: s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX:PATH. "download" fetches it before the
# training starts, "mount" reads it when it is read.
# data = []
# data_mode = "download"
# A folder of the project whose content is kept with the run.  Default: RUNCTL_OUTPUT_DIR alone.
# output_dir = "results"

[run.env]
# Environment variables of the training.
# WANDB_MODE = "offline"

[run.secrets]
# Environment variables that the machine reads itself, from Parameter Store or Secrets Manager.
# WANDB_API_KEY = "ssm:/runctl/secrets/wandb"

[confirm]
# Launching asks first when the estimate is above this many US dollars.
# above_usd = 5

[machines]
# How many machines there may be before `runctl aws create` notes it, and before it refuses another.
# warn_above = 10
# most = 50

[local]
# Where the cloud on this machine keeps its state, its port (default: a free one), and how long its machines boot.
# dir = ".runctl/local"
# port = 4566
# boot_delay = "0s"

[aws]
# Profile and region of the AWS account.  Default: what AWS_PROFILE, AWS_REGION and the AWS configuration say.
# profile = "default"
# region = "eu-central-1"

[logs]
# Folder for copies of logs that were followed.  Default: none are kept.
# dir = "logs"
"""
