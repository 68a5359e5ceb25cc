"""What the jobs of one rule cost for one model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which imports the configuration, and that the studies, of which each says what its jobs cost
    from layerscope.workflow.resources import Expected


@dataclass(frozen=True)
class JobCosts:
    """Jobs that do the same for one model."""

    rule: str
    jobs: int
    expected: "Expected"  # of each, as a cluster is asked for it, without its margin
    tokens: int = 0  # that each runs the model over
    bytes: float = 0  # that each writes
