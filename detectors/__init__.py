"""What fraud looks like: pure objects, no broker, no clock, no files."""
