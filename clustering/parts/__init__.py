"""From a mask to parts: its regions, and the object proposals on them."""
