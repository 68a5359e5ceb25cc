"""The whole configuration, and all that is known before any job: what its keys say of each other and of the sources."""
