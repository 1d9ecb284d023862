"""Which insights, and when: matchers and hours, as routes and maintenance windows have them in common."""
