"""The rule about budgets: thresholds, pace, and the date on which one runs out."""
