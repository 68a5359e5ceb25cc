"""Files that are whole or not there, with digests that are checked where they are read; errors that are one line."""
