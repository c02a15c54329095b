"""From a mask to parts: its regions, and the proposals that lie on them."""
