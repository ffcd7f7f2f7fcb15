"""The platform's baseline in one partition, and how it is learned."""
