"""Insights as lines on standard output."""
