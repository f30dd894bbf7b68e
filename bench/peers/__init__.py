# SPDX-License-Identifier: Apache-2.0
"""The parts of bench/peers.py. layer, timing and *_peer run in workers, the rest in the driver."""
