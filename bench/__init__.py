"""Measures the bridge against a version without durability, on one machine and in one run.

Nothing of the bridge may depend on it, and no test asserts a time. `chaos` breaks a bridge.
"""
