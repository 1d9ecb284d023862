"""Insights as lines of JSON in a file."""
