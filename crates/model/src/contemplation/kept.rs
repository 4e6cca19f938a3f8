//! Which tokens of a chain of thought contemplation tokens stand for (CCOT, arXiv 2412.13171,
//! section 3: a subset of the chain's hidden states, in their order).

/// k = ⌈r·m⌉, the contemplation tokens that stand for a chain of `n_tokens` tokens; r is `ratio`,
/// in \[0, 1\].
pub fn n_kept(n_tokens: usize, ratio: f64) -> usize {
    // A product such as 0.1 · 30 lies above 3 by a rounding, and must not make it 4.
    let product = ratio * n_tokens as f64;
    ((product - 1e-9).ceil().max(0.0) as usize).min(n_tokens)
}

/// The indices of the `k` tokens that are kept of a chain, ascending. `ranks` says of each token
/// how late it is kept, 0 first; of a rank that has no room as a whole, evenly spaced ones are
/// kept, its last one among them.
///
/// # Panics
/// If there are fewer than `k` tokens.
pub fn kept_positions(ranks: &[u8], k: usize) -> Vec<usize> {
    assert!(k <= ranks.len(), "{k} of {} tokens", ranks.len());
    let mut kept = Vec::new();
    for rank in 0..=u8::MAX {
        let of_rank: Vec<usize> = (0..ranks.len()).filter(|&i| ranks[i] == rank).collect();
        let room = k - kept.len();
        kept.extend(evenly_spaced(of_rank.len(), room).map(|i| of_rank[i]));
        if kept.len() == k {
            break;
        }
    }
    kept.sort_unstable();
    kept
}

/// At most `k` of the indices below `n`, evenly spaced, the last one among them.
fn evenly_spaced(n: usize, k: usize) -> impl Iterator<Item = usize> {
    let k = k.min(n);
    (1..=k).map(move |i| i * n / k - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_chain_is_rounded_up() {
        for (n_tokens, ratio, expected) in [
            (33, 0.1, 4),
            (30, 0.1, 3),
            (1, 0.05, 1),
            (20, 0.05, 1),
            (21, 0.05, 2),
            (17, 1.0, 17),
            (17, 0.0, 0),
            (0, 0.5, 0),
        ] {
            assert_eq!(n_kept(n_tokens, ratio), expected, "{n_tokens} · {ratio}");
        }
    }

    #[test]
    fn a_rank_without_room_is_thinned_evenly_and_keeps_its_last() {
        let ranks = [1, 0, 1, 0, 1, 0, 1, 0];
        assert!(kept_positions(&ranks, 0).is_empty());
        assert_eq!(kept_positions(&ranks, 1), [7]);
        assert_eq!(kept_positions(&ranks, 2), [3, 7]);
        assert_eq!(kept_positions(&ranks, 4), [1, 3, 5, 7]);
        // All of rank 0, and two of rank 1.
        assert_eq!(kept_positions(&ranks, 6), [1, 2, 3, 5, 6, 7]);
        assert_eq!(kept_positions(&ranks, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
        // One rank for all is even spacing.
        assert_eq!(kept_positions(&[0; 10], 3), [2, 5, 9]);
    }
}
