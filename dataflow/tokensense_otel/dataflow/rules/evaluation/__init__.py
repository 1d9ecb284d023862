"""How rules are evaluated: keys, windows, episodes, and the shard that joins them."""
