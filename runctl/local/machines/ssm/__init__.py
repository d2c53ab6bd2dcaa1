"""Systems Manager's calls: agents that come online, Run Command, public parameters."""
