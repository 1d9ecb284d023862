"""Insights as alerts of Prometheus' Alertmanager."""
