"""The steps from a file and an environment to checked settings; `service.loader` puts them in order."""
