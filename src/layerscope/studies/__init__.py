"""The studies, each with all that is its own in a folder."""
