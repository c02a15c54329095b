"""From masks to clusters of matching parts (paper section 3.2).

mask -> regions -> proposals on the mask = parts -> proposal flow between images -> similarity -> affinity propagation
-> pruning. Conventions are those of :mod:`masks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from visual_summaries.clustering.clusters.affinity import Clusters as Clusters
    from visual_summaries.clustering.clusters.affinity import propagate as propagate
    from visual_summaries.clustering.clusters.find import find_clusters as find_clusters
    from visual_summaries.clustering.clusters.matched import Matched as Matched
    from visual_summaries.clustering.descriptors.deep import DeepEncoder as DeepEncoder
    from visual_summaries.clustering.descriptors.hog import describe as describe
    from visual_summaries.clustering.matching.pairs import all_pairs as all_pairs
    from visual_summaries.clustering.matching.pairs import nearest_pairs as nearest_pairs
    from visual_summaries.clustering.matching.proposal_flow import Features as Features
    from visual_summaries.clustering.matching.proposal_flow import match as match
    from visual_summaries.clustering.matching.similarity import Similarity as Similarity
    from visual_summaries.clustering.matching.similarity import similarity as similarity
    from visual_summaries.clustering.options import AffinityOptions as AffinityOptions
    from visual_summaries.clustering.options import MatchingOptions as MatchingOptions
    from visual_summaries.clustering.options import ProposalOptions as ProposalOptions
    from visual_summaries.clustering.options import PruneOptions as PruneOptions
    from visual_summaries.clustering.options import SimilarityOptions as SimilarityOptions
    from visual_summaries.clustering.parts.proposals import Proposals as Proposals
    from visual_summaries.clustering.parts.proposals import choose as choose
    from visual_summaries.clustering.parts.proposals import selective_search as selective_search
    from visual_summaries.clustering.parts.regions import regions as regions
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "clusters.affinity": ["Clusters", "propagate"],
            "clusters.find": ["find_clusters"],
            "clusters.matched": ["Matched"],
            "descriptors.deep": ["DeepEncoder"],
            "descriptors.hog": ["describe"],
            "matching.pairs": ["all_pairs", "nearest_pairs"],
            "matching.proposal_flow": ["Features", "match"],
            "matching.similarity": ["Similarity", "similarity"],
            "options": ["AffinityOptions", "MatchingOptions", "ProposalOptions", "PruneOptions", "SimilarityOptions"],
            "parts.proposals": ["Proposals", "choose", "selective_search"],
            "parts.regions": ["regions"],
        },
    )
