"""Files that are whole or absent, with digests that are checked on reading; errors of one line."""
