"""Tells of every fault in what people write at once. Connects to no host and runs nothing."""
