"""BG/NBD against the published figures for CDNOW and against simulated customers."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation.bgnbd import BgNbd, Histories


def simulate(model, customers, age, horizon, seed=3):
    """Draw customers from the model: their histories and whether each stayed silent in the horizon."""
    random = np.random.default_rng(seed)
    frequency, recency, silent = np.zeros(customers), np.zeros(customers), np.ones(customers, dtype=bool)
    rates = random.gamma(model.r, 1 / model.alpha, customers)
    exits = random.beta(model.a, model.b, customers)
    for i in range(customers):
        now = 0.0
        while True:
            now += random.exponential(1 / rates[i])
            if now > age:
                silent[i] = now > age + horizon
                break
            frequency[i], recency[i] = frequency[i] + 1, now
            if random.random() < exits[i]:
                break
    return Histories(frequency, recency, np.full(customers, age)), silent


class TestFit:
    def test_reaches_the_published_parameters_for_cdnow(self):
        datasets = pytest.importorskip("lifetimes.datasets", reason="needs the extra `datasets`")
        table = datasets.load_cdnow_summary(index_col=[0])
        histories = Histories(*(table[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")))
        fitted = BgNbd.fit(histories)
        found = [fitted.r, fitted.alpha, fitted.a, fitted.b]
        assert found == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=2e-3)  # Fader et al., table 2
        assert fitted.log_likelihoods(histories).sum() == pytest.approx(-9582.4, abs=0.05)

    def test_grouping_equal_histories_changes_nothing(self):
        histories, _ = simulate(BgNbd(0.8, 5, 1, 3), 300, 20.0, 10.0)
        rounded = Histories(histories.frequency, histories.recency.round(), histories.age)
        grouped = rounded.grouped()
        model = BgNbd(1, 4, 1, 2)
        assert grouped.weight @ model.log_likelihoods(grouped) == pytest.approx(
            model.log_likelihoods(rounded).sum()
        )

    @pytest.mark.parametrize("frequency", [0.0, 4.0])
    def test_degenerate_customers_still_give_a_usable_model(self, frequency):
        histories = Histories(np.full(5, frequency), np.full(5, frequency * 2), np.full(5, 30.0))
        silence = BgNbd.fit(histories).probability_of_silence(histories, 10.0)
        assert ((silence >= 0) & (silence <= 1)).all()

    def test_nothing_to_fit_and_bad_parameters_are_named(self):
        with pytest.raises(InvalidParameterError, match="at least one history"):
            BgNbd.fit(Histories(np.array([]), np.array([]), np.array([])))
        with pytest.raises(InvalidParameterError, match="alpha must be positive and finite, got 0"):
            BgNbd(1, 0, 1, 1)


class TestSilence:
    def test_is_calibrated_for_customers_drawn_from_the_model(self):
        model = BgNbd(0.8, 5.0, 0.9, 2.5)
        histories, silent = simulate(model, 4000, 20.0, 10.0)
        predicted = model.probability_of_silence(histories, 10.0)
        for frequency in (0, 1, 3):
            chosen = histories.frequency == frequency
            assert predicted[chosen].mean() == pytest.approx(silent[chosen].mean(), abs=0.04)

    def test_a_new_customer_is_alive_and_silence_fades_with_the_horizon(self):
        new = Histories(np.array([0.0]), np.array([0.0]), np.array([0.0]))
        model = BgNbd(0.5, 5, 1, 2)
        assert model.probability_alive(new).tolist() == [1.0]
        assert model.probability_of_silence(new, 1.0) > model.probability_of_silence(new, 2.0)
