"""The work of a run's stages, each from files of the run folder to files of the run folder.

What the stages are, and in which order, is told in :mod:`summaries.pipeline.image_chain`.
"""
