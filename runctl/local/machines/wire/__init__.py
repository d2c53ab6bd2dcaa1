"""How AWS's requests and answers look on the wire, read from botocore's service models."""
