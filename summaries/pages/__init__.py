"""What people look at: the gallery, sheets and pictures."""
