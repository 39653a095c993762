"""The fault campaign: runs are killed, damaged and starved, and must end in the same bits; see docs/reliability.md."""
