"""Trains and tunes the SVMs of the summaries, and every control, under the same harm limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from visual_summaries.specialize.blend import plain_blend
from visual_summaries.specialize.controls import DRAWS, kmeans_groups, one_per_class, random_groups
from visual_summaries.specialize.latent_svm import find_excluded_windows, latent_svms
from visual_summaries.specialize.options import SpecializeOptions, SvmOptions
from visual_summaries.specialize.svm import Group, Svms, gram_of, train
from visual_summaries.specialize.training_set import TrainingSet
from visual_summaries.specialize.tuning import Method, candidates, choose_weight
from visual_summaries.summaries.progress import progress


def fit(training: TrainingSet, options: SpecializeOptions, seed: int) -> list[Method]:
    """The method of the summaries first, then the controls (`specialize.controls`), each tuned under the same limit.

    Args:
        training: What to train and tune on.
        options: Hyperparameters.
        seed: Of k-means, random groups and random negatives.

    Raises:
        OneSidedError: An SVM has no positive, or no negative.
    """
    no_siblings = replace(options.svm, siblings=False, others=True)  # other classes are then the only negatives
    groups = training.groups
    excluded_windows = (
        {}
        if training.bags is None
        else find_excluded_windows(training.bags, training.vectors, groups, training.excluded, options.svm, seed=seed)
    )
    gram = gram_of(training.vectors) if training.bags is None else None

    def of_groups(name: str, groups: Sequence[Group], svm: SvmOptions) -> Method:
        if training.bags is not None:
            trainer = latent_svms(
                training.bags, training.vectors, groups, svm, seed=seed, excluded_windows=excluded_windows
            )
        else:
            trainer = partial(train, training.vectors, groups, training.negatives, options=svm, gram=gram)
        return tuned(name, trainer)

    def of_classes(name: str) -> Method:
        trainer = partial(
            train,
            training.images,
            training.class_groups,
            training.image_negatives,
            options=no_siblings,
            gram=gram_of(training.images),
        )
        return tuned(name, trainer)

    def tuned(name: str, trainer: Callable[[float], Svms]) -> Method:
        tried = candidates(name, trainer, training.classes, training.held_out, options.tuning)
        return choose_weight(tried, training.held_out, options.tuning)

    def without_svms(name: str, normalisation: str) -> Method:
        blend = plain_blend(training.classes, np.zeros(0, np.int64), normalisation)
        nothing = np.zeros((len(training.held_out.labels), 0), np.float32)
        return choose_weight([(Method(name, None, blend), nothing)], training.held_out, options.tuning)

    plan: list[Callable[[], Method]] = [
        lambda: of_groups("summaries", groups, options.svm),
        lambda: of_groups("one_per_class", one_per_class(groups), no_siblings),
        lambda: of_groups("kmeans", kmeans_groups(groups, training.vectors, seed=seed), options.svm),
        *(
            lambda k=k: of_groups(f"random:{k}", random_groups(groups, seed=seed + k), options.svm)
            for k in range(DRAWS)
        ),
        *(
            lambda k=k: of_groups(f"random_no_siblings:{k}", random_groups(groups, seed=seed + k), no_siblings)
            for k in range(DRAWS)
        ),
        lambda: without_svms("logit_bonus", "bonus"),
        lambda: without_svms("uniform", "uniform"),
        lambda: of_groups("summaries_no_siblings", groups, no_siblings),
        lambda: of_classes("one_per_class_all"),
    ]
    methods = []
    with (
        threadpool_limits(limits=1),  # the matrices are small: more threads would be slower
        progress("SVMs", "methods") as tick,
    ):
        for done, method in enumerate(plan, 1):
            methods.append(method())
            tick(done, len(plan))
    return methods
