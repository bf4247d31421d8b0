"""Breaks a running bridge on purpose, and asks afterwards whether its promises held.

Nothing of the bridge may depend on it, and it reaches nothing but what it started itself.
"""
