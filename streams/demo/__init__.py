"""``truecount demo``: its story, its view, its worker."""
