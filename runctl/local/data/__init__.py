"""Facts that the local cloud is made of: instance types, prices, images."""
