"""What runs on the machine beside the training: one supervisor for each attempt.

It stands alone: the standard library and the botocore that its archive carries, no other package of ours. What it
reads and writes is described by `runctl.model` (job, agent_event, checkpoint, keys); a contract test compares both.
"""
