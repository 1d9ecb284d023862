"""Safe egress: one client for every destination that speaks HTTP."""
