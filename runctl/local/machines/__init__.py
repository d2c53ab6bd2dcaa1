"""EC2 instances played by real processes: the part of EC2, SSM and IMDS that needs something alive behind it."""
