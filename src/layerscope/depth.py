"""Depth that compares across models of different numbers of layers."""


def relative_depth(layer: int, layers: int) -> float:
    """0 of the first of ``layers``, 1 of the last; 0 where there is one."""
    return layer / (layers - 1) if layers > 1 else 0.0
