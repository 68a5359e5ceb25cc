"""Columns of the tables of matched neurons."""

ROTATIONS = 5
MEASURES = ("r", *(f"r_rotated_{number}" for number in range(ROTATIONS)))


def without(measure: str, run: int) -> str:
    """The column that holds a measure with a run of documents left out."""
    return f"{measure}_without_{run:02d}"
