"""Fuzzing: bytes into all that reads what others wrote; what may come of it is said for each target."""
