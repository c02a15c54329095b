r"""From an image to the region that a classifier relies on (paper section 3.1).

Conventions of the whole project:

* **Images** are float32 RGB in [0, 1], shape (N, 3, H, W).
* **Masks** are float32 in [0, 1], shape (N, 1, H, W); **1 = perturbed = salient**, 0 = kept. (Equations 1 and 2 of
  the paper penalise \|1 - m\|, that is, 1 = kept, while its text calls the perturbed pixels non-zero. We use
  the reading in which regions are the ones.)
* **Sizes** are (H, W). **Boxes** are (K, 4) float32 xyxy in pixels of the frame, half open: a box of one pixel
  at the origin is (0, 0, 1, 1).
* **The frame** is the photograph, oriented, resized and centre-cropped as the metadata of the network require. Masks
  are optimised in the frame, and the frame is perturbed; after that, only the network's normalisation is applied.
* **Similarity**: higher is more alike.
* **Randomness**: every random choice takes a seed or a generator.

Hyperparameters are in one frozen dataclass per stage. Each field states its unit, its range and the source of its
default. The command line and the configuration file are generated from these dataclasses. So these are in modules that
import no deep-learning library: ``masks/perturbation/schedule.py``, ``masks/attribution/options.py``,
``clustering/options.py``, ``summaries/semantics/options.py`` and ``specialize/options.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from visual_summaries.masks.attribution.extremal import extremal as extremal
    from visual_summaries.masks.attribution.grad_cam import grad_cam as grad_cam
    from visual_summaries.masks.attribution.options import AttributionOptions as AttributionOptions
    from visual_summaries.masks.attribution.options import ExtremalOptions as ExtremalOptions
    from visual_summaries.masks.attribution.options import GradCamOptions as GradCamOptions
    from visual_summaries.masks.attribution.options import RiseOptions as RiseOptions
    from visual_summaries.masks.attribution.rise import rise as rise
    from visual_summaries.masks.errors import UserError as UserError
    from visual_summaries.masks.inputs.images import Frame as Frame
    from visual_summaries.masks.inputs.reading import read_image as read_image
    from visual_summaries.masks.metrics.faithfulness import drop as drop
    from visual_summaries.masks.metrics.faithfulness import probabilities as probabilities
    from visual_summaries.masks.networks.classifier import Classifier as Classifier
    from visual_summaries.masks.networks.input_options import InputFormat as InputFormat
    from visual_summaries.masks.networks.models import load_classifier as load_classifier
    from visual_summaries.masks.perturbation.binarize import binarize as binarize
    from visual_summaries.masks.perturbation.optimize import MaskBatch as MaskBatch
    from visual_summaries.masks.perturbation.optimize import optimize as optimize
    from visual_summaries.masks.perturbation.schedule import BinaryOptions as BinaryOptions
    from visual_summaries.masks.perturbation.schedule import Schedule as Schedule
    from visual_summaries.masks.perturbation.schedule import preset as preset
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "attribution.extremal": ["extremal"],
            "attribution.grad_cam": ["grad_cam"],
            "attribution.options": ["AttributionOptions", "ExtremalOptions", "GradCamOptions", "RiseOptions"],
            "attribution.rise": ["rise"],
            "errors": ["UserError"],
            "inputs.images": ["Frame"],
            "inputs.reading": ["read_image"],
            "metrics.faithfulness": ["drop", "probabilities"],
            "networks.classifier": ["Classifier"],
            "networks.input_options": ["InputFormat"],
            "networks.models": ["load_classifier"],
            "perturbation.binarize": ["binarize"],
            "perturbation.optimize": ["MaskBatch", "optimize"],
            "perturbation.schedule": ["BinaryOptions", "Schedule", "preset"],
        },
    )
