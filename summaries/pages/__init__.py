"""Pages and pictures: the gallery, sheets, and drawing."""
