"""BG/NBD: the chance of no further transaction, from how often and how lately a user came.

Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005): "Counting Your Customers" the Easy Way: An Alternative to
the Pareto/NBD Model. Marketing Science 24(2).
"""

import numpy as np

from online_models.events import Floats


def log_odds_of_silence(
    x: Floats,
    t_x: Floats,
    age: Floats,
    horizon: float,
    *,
    r: float | Floats,
    alpha: float | Floats,
    a: float | Floats,
    b: float | Floats,
) -> Floats:
    """Return the log-odds that no transaction follows within the horizon.

    A user who is still there has rate λ ~ Gamma(r + x, alpha + age), so stays silent for a time H with
    probability ((alpha + age) / (alpha + age + H)) ** (r + x); one who left stays silent for sure:

    P(silent) = 1 - P(alive) * (1 - ((alpha + age) / (alpha + age + H)) ** (r + x))

    with P(alive) = 1 / (1 + a / (b + x - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x)) for x > 0, else 1
    (the model lets a user leave right after a repeat transaction only).

    Parameters
    ----------
    x
        (n,) repeat transactions.
    t_x, age
        (n,) time of the last transaction and of now, both since the first.
    horizon
        Time ahead, in the same unit.
    r, alpha, a, b
        Parameters of the model; arrays are taken together with those of the users.

    Examples
    --------
    >>> often, seldom = log_odds_of_silence(
    ...     np.array([20.0, 1.0]), np.array([95.0, 95.0]), np.array([100.0, 100.0]), 30.0,
    ...     r=0.243, alpha=30.9, a=0.793, b=2.426,
    ... )
    >>> bool(often < 0 < seldom)
    True
    """
    shape = r + x
    log_gone = (
        np.log(a) - np.log(b + np.maximum(x, 1) - 1) + shape * (np.log(alpha + age) - np.log(alpha + t_x))
    )
    log_gone = np.where(x > 0, log_gone, -np.inf)
    log_quiet = shape * (np.log(alpha + age) - np.log(alpha + age + horizon))
    # Odds of silence = (P(gone) + P(alive) q) / (P(alive) (1 - q)) = (gone / alive + q) / (1 - q).
    return np.asarray(np.logaddexp(log_gone, log_quiet) - np.log(-np.expm1(log_quiet)))
