"""Rules about money that bought nothing."""
