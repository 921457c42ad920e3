//! Many tests in one month: which of them may be believed.

/// Benjamini and Hochberg (1995): the largest set of tests of which at most the share `rate` is
/// expected to be false. Returns, for each test, its q: the smallest rate at which it is in.
/// Tests without a p-value take no part.
pub fn adjusted(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(index, p)| Some((index, (*p)?))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let count = order.len() as f64;
    let mut out = vec![None; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, (index, p)) in order.iter().enumerate().rev() {
        smallest = smallest.min(p * count / (rank as f64 + 1.0));
        if let Some(place) = out.get_mut(*index) {
            *place = Some(smallest);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_paper_keeps_four_of_fifteen() {
        // Benjamini and Hochberg 1995, section 3.2: thrombolysis in myocardial infarction.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        let adjusted = adjusted(&p.map(Some));
        let kept = adjusted.iter().flatten().filter(|q| **q <= 0.05).count();
        assert_eq!(kept, 4);
        assert!((adjusted[3].unwrap() - 0.0095 * 15.0 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn tests_without_a_value_take_no_part() {
        assert_eq!(adjusted(&[None, Some(0.01), None]), [None, Some(0.01), None]);
        assert_eq!(adjusted(&[]), []);
    }
}
