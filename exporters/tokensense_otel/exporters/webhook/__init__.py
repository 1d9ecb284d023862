"""Insights as signed HTTP posts, by the Standard Webhooks specification."""
