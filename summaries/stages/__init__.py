"""The work of the stages: each reads files of the run folder and writes files of the run folder.

The stages and their order are defined in :mod:`summaries.pipeline.image_chain`.
"""
