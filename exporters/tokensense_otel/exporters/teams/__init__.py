"""Insights as Adaptive Cards in Microsoft Teams."""
