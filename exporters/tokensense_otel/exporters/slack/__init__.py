"""Insights as Slack messages, through an incoming webhook."""
