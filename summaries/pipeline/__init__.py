"""Chains of stages on a run folder: started, continued, and done again from what is there."""

from visual_summaries.summaries.pipeline.again import check_done, recorded_settings, redo
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.pipeline.job import Job
from visual_summaries.summaries.pipeline.start import run

__all__ = ["IMAGE_CHAIN", "Job", "check_done", "recorded_settings", "redo", "run"]
