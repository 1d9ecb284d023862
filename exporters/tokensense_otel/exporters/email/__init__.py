"""Insights as mail."""
