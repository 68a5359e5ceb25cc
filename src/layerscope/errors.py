"""The one kind of error that is meant for the person who runs the workflow."""


class UserError(Exception):
    """Something the user can put right; its text is one line: the thing, what is wrong, what would be right."""
