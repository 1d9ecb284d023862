"""The durable log between the receiver and the dataflow: `log.py` is the interface, `embedded.py` the default."""
