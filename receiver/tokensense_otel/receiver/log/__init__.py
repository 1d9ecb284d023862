"""The durable log between the receiver and the dataflow: `log.py` is the interface, `segment.py` the embedded one."""
