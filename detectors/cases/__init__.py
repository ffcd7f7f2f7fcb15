"""Cases: their opening and closing, flags, corrections, and explained surges."""
