"""Faults: workers, brokers and disks are killed, frozen and broken under traffic; then every count is compared."""
