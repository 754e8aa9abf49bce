//! Posts to frames: duplicates, regions, lanes, ledger, heartbeat.
