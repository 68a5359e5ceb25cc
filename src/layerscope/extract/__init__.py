"""Token shards to activation shards: one forward pass, every requested site of every layer, straight to HDF5."""

import os

# While the writer holds a core, the threads that compute must give up theirs instead of spinning at their barriers.
# OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
