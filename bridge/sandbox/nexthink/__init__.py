"""The simulated Nexthink portal and its Engines; it must not know a ticket system."""
