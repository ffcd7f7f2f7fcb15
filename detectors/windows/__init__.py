"""Windows: the crowd of one, their scales, the clock."""
