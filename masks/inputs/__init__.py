"""What the network is shown: files read, oriented, resized and cropped to the frame."""
