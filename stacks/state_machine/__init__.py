"""The state machine: its chain, what each state catches, and how it retries."""
