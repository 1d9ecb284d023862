"""Rules about more than is usual at this hour of the week, and what moved."""
