"""Visual summaries: which object parts an image classifier relies on for a class.

Data flows through four packages, and imports go the other way:

* :mod:`visual_summaries.masks`: from an image to the region that the network relies on.
* :mod:`visual_summaries.clustering`: from masks to groups of matching parts.
* :mod:`visual_summaries.summaries`: from clusters to summaries, pages and evaluations; the run folder.
* :mod:`visual_summaries.specialize`: from summaries to a classifier with higher accuracy.

In a checkout the packages are folders at the top level, and this folder holds links to them.
"""
