"""The mapping language: what an administrator writes, checked, and evaluated against a ticket event.

Nothing in this package may read a file or a clock, or know a ticket system.
"""
