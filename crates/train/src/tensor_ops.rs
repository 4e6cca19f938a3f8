//! Between host and device: rows over the vocabulary, positions of a batch, reads.

use burn::tensor::{Device, ExecutionError, Tensor, TensorData, Transaction};

use crate::example::Distribution;

/// Rows `[N, V]` over a vocabulary of `n_tokens`, 0 where a distribution has no weight.
pub fn dense_rows(rows: &[Distribution], n_tokens: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0; rows.len() * n_tokens];
    for (row, weights) in values.chunks_exact_mut(n_tokens).zip(rows) {
        for &(id, weight) in weights {
            row[id as usize] += weight;
        }
    }
    Tensor::from_data(TensorData::new(values, [rows.len(), n_tokens]), device)
}

/// A row with all its weight on one token.
pub fn one_hot(id: u32) -> Distribution {
    vec![(id, 1.0)]
}

/// Takes positions `start .. start + count` of every question's n: `[N·n, d]` to `[N·count, d]`.
pub fn positions(states: Tensor<2>, n: usize, start: usize, count: usize) -> Tensor<2> {
    let [rows, d] = states.dims();
    states
        .reshape([rows / n, n, d])
        .narrow(1, start, count)
        .reshape([rows / n * count, d])
}

/// The numbers of a tensor as one row, for [`read`].
pub fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

/// Reads tensors (without autodiff) in one wait for the device; the crate reads nowhere else.
///
/// # Errors
/// If the device failed.
pub async fn read(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, ExecutionError> {
    let all = tensors.into_iter();
    let transaction = all.fold(Transaction::default(), Transaction::register);
    let data = transaction.execute_async().await?;
    let numbers = data.into_iter().map(|data| {
        let numbers = data.try_into_vec();
        numbers.expect("everything is computed in f32")
    });
    Ok(numbers.collect())
}

/// The index of the largest number, the first of several.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// Fails at the first number that is not finite.
pub fn check_finite(name: &str, numbers: &[f32]) -> anyhow::Result<()> {
    if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
        anyhow::bail!("{name}[{at}] is {}, expected a finite number", numbers[at]);
    }
    Ok(())
}
