"""The model: a base and its adapter. The only folder that imports torch."""

import os

# Threads that wait by spinning cost ten times the wall time when another process wants the same cores (2.6 against
# 0.17 s a step, measured on two cores with two other trainings), and save a fifth of it when none does.
# It is read once, when torch loads its thread pool.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Nothing here speaks with the Hugging Face hub, whatever its libraries would like to look up, but `fetch`, which lifts
# this for as long as it takes. It is read once, when the first of these libraries is imported; child processes have
# it too.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
