//! Logistic regression: a linear classifier of states, fitted by Newton's method.

/// σ(w·h + b).
#[derive(Clone, Debug, PartialEq)]
pub struct LinearClassifier {
    /// w, `[d]`.
    pub weight: Vec<f64>,
    /// b.
    pub bias: f64,
}

/// States `[N, d]`, and whether the classifier shall say yes of them.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Row after row.
    pub states: Vec<Vec<f64>>,
    /// One for each state.
    pub labels: Vec<bool>,
}

impl Examples {
    /// The share of examples on which a classifier with threshold ½ is right.
    pub fn accuracy(&self, classifier: &LinearClassifier) -> f64 {
        let pairs = self.states.iter().zip(&self.labels);
        let right = pairs.filter(|(state, label)| (classifier.logit(state) >= 0.0) == **label);
        right.count() as f64 / self.labels.len() as f64
    }
}

impl LinearClassifier {
    /// w·h + b.
    pub fn logit(&self, state: &[f64]) -> f64 {
        let products = self.weight.iter().zip(state).map(|(w, h)| w * h);
        products.sum::<f64>() + self.bias
    }

    /// Logistic regression by Newton's method (iteratively reweighted least squares).
    pub fn fit(examples: &Examples, ridge: f64) -> LinearClassifier {
        let d = examples.states.first().map_or(0, Vec::len);
        let mut classifier = LinearClassifier {
            weight: vec![0.0; d],
            bias: 0.0,
        };
        let n = examples.labels.len() as f64;
        for _ in 0..NEWTON_STEPS {
            // Column d is the bias, which the ridge leaves alone.
            let mut gradient = vec![0.0; d + 1];
            let mut hessian = vec![vec![0.0; d + 1]; d + 1];
            for i in 0..d {
                gradient[i] = ridge * classifier.weight[i];
                hessian[i][i] = ridge;
            }
            hessian[d][d] = 1e-9;
            for (state, &label) in examples.states.iter().zip(&examples.labels) {
                let p = 1.0 / (1.0 + (-classifier.logit(state)).exp());
                let error = (p - f64::from(u8::from(label))) / n;
                let curvature = p * (1.0 - p) / n;
                let x = |i: usize| if i < d { state[i] } else { 1.0 };
                for (i, row) in hessian.iter_mut().enumerate() {
                    gradient[i] += error * x(i);
                    for (j, entry) in row[..=i].iter_mut().enumerate() {
                        *entry += curvature * x(i) * x(j);
                    }
                }
            }
            let step = solve(hessian, gradient);
            for (weight, step) in classifier.weight.iter_mut().zip(&step) {
                *weight -= step;
            }
            classifier.bias -= step[d];
        }
        classifier
    }
}

/// Newton steps; logistic regression converges in fewer than ten.
const NEWTON_STEPS: usize = 12;

/// Solves A·x = b for a positive definite A, of which the lower triangle is given, by Cholesky's
/// decomposition A = L·Lᵀ.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            a[i][j] = if i == j {
                (a[i][i] - known).max(1e-12).sqrt()
            } else {
                (a[i][j] - known) / a[j][j]
            };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_plane_between_two_clouds_is_found() {
        let mut random = Random::new(1);
        let mut examples = Examples::default();
        for _ in 0..500 {
            let state: Vec<f64> = (0..4).map(|_| random.normal()).collect();
            examples.labels.push(2.0 * state[1] - state[3] > 0.5);
            examples.states.push(state);
        }
        let classifier = LinearClassifier::fit(&examples, 1e-4);
        assert!(examples.accuracy(&classifier) > 0.98);
        let ratio = classifier.weight[1] / classifier.weight[3];
        assert!((ratio + 2.0).abs() < 0.2, "{classifier:?}");
    }

    #[test]
    fn without_a_signal_the_bias_alone_gives_the_share() {
        // Three of four end, and the states say nothing.
        let mut examples = Examples::default();
        for index in 0..400 {
            examples.states.push(vec![f64::from(index / 4 % 2) - 0.5]);
            examples.labels.push(index % 4 != 0);
        }
        let classifier = LinearClassifier::fit(&examples, 1e-6);
        assert!(classifier.weight[0].abs() < 1e-6);
        assert!((classifier.bias - 3.0_f64.ln()).abs() < 1e-6);
    }
}
