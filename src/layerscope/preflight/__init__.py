"""The whole configuration, and the checks before any job: of its keys against each other and against the sources."""
