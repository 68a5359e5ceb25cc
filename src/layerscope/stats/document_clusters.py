"""Groups of documents that a jackknife leaves out, for samples that grow.

Jobs that run a model make sums of these groups. In a module of its own, so that a change of the intervals does not
run a model again.
"""

import numpy as np

CLUSTERS = 100


def document_clusters(document: np.ndarray) -> np.ndarray:
    """The cluster, 0 to ``CLUSTERS`` − 1, of each document: a group of documents fixed by their numbers.

    So sums over clusters of one part of a text can be added to those of another, and each of the first documents is a
    cluster of its own.
    """
    return document % CLUSTERS
