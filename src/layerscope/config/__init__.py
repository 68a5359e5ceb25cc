"""Reading a configuration: its sections, and one clear line for each mistake in it."""
