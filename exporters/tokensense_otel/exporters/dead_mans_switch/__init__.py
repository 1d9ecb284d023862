"""A signal to the outside that stops when anything between a request's arrival and its delivery does."""
