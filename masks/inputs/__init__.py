"""The inputs of a network: files are found, read, made upright, resized and cropped to the frame.

* ``folders``: class folders and the image files in them;
* ``reading``, ``orientation``, ``rgb``: one file as an upright photograph of 8-bit RGB;
* ``images``: the `Frame`, from a photograph to the network's input;
* ``shape``: the `InputShape` of images and clips;
* ``ids``: safe names of images, and paths as text.
"""
