r"""From an image to the crisp region a classifier cannot do without (paper section 3.1).

Conventions of the whole project, stated once:

* **Images** are float32 RGB in [0, 1], shape (N, 3, H, W).
* **Masks** are float32 in [0, 1], shape (N, 1, H, W); **1 = perturbed = salient**, 0 = kept. (Equations 1 and 2 of
  the paper penalise \|1 - m\|, that is, 1 = kept, while its text calls the perturbed pixels non-zero. We use
  the reading in which regions are the ones.)
* **Sizes** are (H, W). **Boxes** are (K, 4) float32 xyxy in pixels of the frame, half open: a box of one pixel
  at the origin is (0, 0, 1, 1).
* **The frame** is the photograph, orientation applied, resized and centre-cropped as the model's own metadata
  say. Masks are optimised and perturbation happens in the frame; only the model's normalisation follows.
* **Similarity**: higher is more alike.
* **Randomness**: every random choice takes a seed or a generator.

Hyperparameters live in one frozen dataclass a stage; each field says its unit, its range and where its default comes
from. The command line and the configuration file are made from these dataclasses, so those it tells stand in modules
that import no network's library: ``masks/schedule.py``, ``clustering/options.py``, ``specialize/options.py``.
"""
