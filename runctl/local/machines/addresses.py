"""Addresses of machines."""

import ipaddress

PUBLIC_NETWORK = ipaddress.ip_network("203.0.113.0/24")
"""For documentation (RFC 5737): what an instance calls its public address leads nowhere."""


def address_in(network: ipaddress.IPv4Network | ipaddress.IPv6Network, number: int) -> str:
    """The address of a network's machine of this number, from 1 on; AWS keeps the first four and the last one of a
    subnet for itself."""
    return str(network[4 + (number - 1) % max(1, network.num_addresses - 5)])
