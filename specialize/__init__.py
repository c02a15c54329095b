"""From summaries to a better classifier: a linear SVM a summary, blended with the network (paper section 4.4)."""
