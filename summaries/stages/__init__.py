"""The stages of a run, each from files of the run folder to files of the run folder.

===========  ==============================================  =============================================
stage        reads                                           writes
===========  ==============================================  =============================================
images       the class folder                                images.csv, frames/ID.png
masks        frames                                          masks/ID.npz, masks/ID.png, masks.csv
proposals    frames                                          work/proposals/ID.npz
matching     frames, binary masks, proposals                 work/matching/, work/similarity.npz
clusters     frames, similarity                              parts.csv, summaries.json
gallery      all of the above                                gallery/, summary-NN.png
===========  ==============================================  =============================================

Everything under ``work/`` can be deleted; it is made again when it is needed.
"""

from summaries.stages.clusters import run_clusters
from summaries.stages.images import Selection, run_images
from summaries.stages.masks import run_masks
from summaries.stages.parts import Network, run_matching, run_proposals

__all__ = ["Network", "Selection", "run_clusters", "run_images", "run_masks", "run_matching", "run_proposals"]
