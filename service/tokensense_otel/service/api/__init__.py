"""The HTTP API: what was used, what was found, whether all is well."""
