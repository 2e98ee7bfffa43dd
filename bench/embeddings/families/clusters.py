"""k-means by scikit-learn, for any number of points, with equal results in every run.

From many points it takes a sample. If there are fewer points than clusters, each point becomes a centroid.
"""

from __future__ import annotations

import numpy as np

POINTS_A_CLUSTER = 256
"""Largest number of points per cluster that the centroids are found from. More points change the centroids little and
take longer."""

ITERATIONS = 20
"""Largest number of iterations of Lloyd's algorithm."""

BLOCK = 1 << 14
"""Number of points whose distances to all centroids are in memory at once."""


def kmeans(
    points: np.ndarray,
    num_clusters: int,
    rng: np.random.Generator,
    points_a_cluster: int = POINTS_A_CLUSTER,
    iterations: int = ITERATIONS,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds centroids whose mean squared distance to the points has a local minimum.

    The starts are drawn by k-means++ (Arthur and Vassilvitskii, 2007). If there are no more distinct points than
    clusters, each distinct point is a centroid, and the other centroids are zero.

    Args:
        points: float32 of shape (n, width), n at least 1.
        num_clusters: number of centroids.
        rng: draws the sample and the starts.
        points_a_cluster: largest number of points per cluster; of more points, a sample is taken.
        iterations: largest number of iterations.
        weights: weight of each point's squared distance, float (n,). None: all weigh the same.

    Returns:
        The centroids, float32 (num_clusters, width), and the number of each point's nearest centroid, int32 (n,).
    """
    sample = points
    if len(points) > points_a_cluster * num_clusters:
        chosen = rng.choice(len(points), points_a_cluster * num_clusters, replace=False)
        sample, weights = points[chosen], None if weights is None else weights[chosen]
    distinct = np.unique(sample, axis=0)
    centroids = np.zeros((num_clusters, points.shape[1]), np.float32)
    if len(distinct) <= num_clusters:
        centroids[: len(distinct)] = distinct
        return centroids, nearest(points, distinct)
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    start = int(rng.integers(2**31))
    # One thread: the order in which several threads add changes the last bit.
    with threadpool_limits(1):
        fitted = KMeans(num_clusters, n_init=1, max_iter=iterations, random_state=start)
        fitted.fit(sample, sample_weight=weights)
    centroids[:] = fitted.cluster_centers_
    return centroids, nearest(points, centroids)


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Finds the number of the centroid nearest to each point; among equally near ones, the first.

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
