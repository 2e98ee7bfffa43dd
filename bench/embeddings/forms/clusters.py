"""k-means by scikit-learn: on a sample where there are many points, the same on every run, never short of points."""

from __future__ import annotations

import numpy as np

POINTS_A_CLUSTER = 256
"""Points that the centroids are found from, at most: more change them little and take longer."""

ITERATIONS = 20
"""Of Lloyd's algorithm, at most."""

BLOCK = 1 << 14
"""Points whose distances to all centroids are held at once."""


def kmeans(
    points: np.ndarray,
    num_clusters: int,
    rng: np.random.Generator,
    points_a_cluster: int = POINTS_A_CLUSTER,
    iterations: int = ITERATIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Centroids that are near all points: a local minimum of the mean squared distance.

    The starts are drawn by k-means++ (Arthur and Vassilvitskii, 2007). Where there are no more distinct points than
    clusters, each is a centroid of its own, and what is left of the centroids is zero.

    Args:
        points: float32 of shape (n, width), n at least 1.
        num_clusters: how many centroids.
        rng: draws the sample and the starts.
        points_a_cluster: where there are more points a cluster than these, a sample of so many is used.
        iterations: at most so many.

    Returns:
        Centroids, float32 (num_clusters, width), and the number of each point's nearest one, int32 (n,).
    """
    sample = points
    if len(points) > points_a_cluster * num_clusters:
        sample = points[rng.choice(len(points), points_a_cluster * num_clusters, replace=False)]
    distinct = np.unique(sample, axis=0)
    centroids = np.zeros((num_clusters, points.shape[1]), np.float32)
    if len(distinct) <= num_clusters:
        centroids[: len(distinct)] = distinct
        return centroids, nearest(points, distinct)
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    start = int(rng.integers(2**31))
    # One thread: with several, the order in which they add decides the last bit.
    with threadpool_limits(1):
        fitted = KMeans(num_clusters, n_init=1, max_iter=iterations, random_state=start).fit(sample)
    centroids[:] = fitted.cluster_centers_
    return centroids, nearest(points, centroids)


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The number of the centroid nearest to each point, the first of equally near ones.

    Args:
        points: float32 of shape (n, width).
        centroids: float32 of shape (k, width).

    Returns:
        int32 of shape (n,).
    """
    out = np.empty(len(points), np.int32)
    lengths = np.square(centroids).sum(1)
    for first in range(0, len(points), BLOCK):
        block = slice(first, first + BLOCK)
        out[block] = np.argmin(lengths - 2 * points[block] @ centroids.T, axis=1)
    return out
