"""EC2's calls about machines, each a function of parsed parameters."""
