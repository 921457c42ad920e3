//! Output multipliers of an input-output table (W. Leontief 1936).
//!
//! With Z(i,j) what sector i sells to sector j and x(j) the output of j, A(i,j) = Z(i,j) / x(j), and
//! the multiplier of j is the sum of column j of (I − A)⁻¹: the output of all sectors for one unit of
//! final demand for j.

use crate::graph::network::GraphError;

/// A square table of flows between sectors, with their outputs, in one unit of value.
#[derive(Clone, Debug, PartialEq)]
pub struct InputOutput {
    n: usize,
    /// A, row after row: rows sell, columns buy.
    coefficients: Vec<f64>,
}

impl InputOutput {
    /// From n² flows, row after row (rows sell, columns buy), and n outputs. A sector without output
    /// gets a column of zeros.
    ///
    /// # Errors
    ///
    /// When the sizes differ, a number is not finite, or a flow or an output is negative.
    pub fn new(flows: &[f64], output: &[f64]) -> Result<Self, GraphError> {
        let n = output.len();
        let bad = |x: &f64| !x.is_finite() || *x < 0.0;
        if n == 0 || flows.len() != n * n || flows.iter().any(bad) || output.iter().any(bad) {
            let text = format!("{} flows and {n} outputs: n² and n, finite and not negative", flows.len());
            return Err(GraphError::Invalid(text));
        }
        let row = |row: &[f64]| -> Vec<f64> {
            row.iter().zip(output).map(|(z, x)| if *x > 0.0 { z / x } else { 0.0 }).collect()
        };
        Ok(Self { n, coefficients: flows.chunks(n).flat_map(row).collect() })
    }

    /// The sums of the columns of A: how much of a unit of output is bought from sectors.
    pub fn input_shares(&self) -> Vec<f64> {
        self.times(&vec![1.0; self.n])
    }

    /// The column of A of a sector: from whom it buys how much per unit of output.
    pub fn inputs_of(&self, sector: usize) -> Vec<f64> {
        self.coefficients.iter().skip(sector).step_by(self.n).copied().collect()
    }

    /// The multiplier of every sector, by m ← 1 + mA until no multiplier changes by more than 1e−12
    /// of itself.
    ///
    /// # Errors
    ///
    /// When that does not converge in 10,000 rounds, as when a group of sectors buys all that it
    /// makes from itself.
    pub fn multipliers(&self) -> Result<Vec<f64>, GraphError> {
        let mut m = vec![1.0; self.n];
        for _ in 0..10_000 {
            let next: Vec<f64> = self.times(&m).into_iter().map(|x| 1.0 + x).collect();
            let done = next.iter().zip(&m).all(|(a, b)| (a - b).abs() <= 1e-12 * a);
            m = next;
            if done {
                return Ok(m);
            }
        }
        Err(GraphError::Invalid(
            "the multipliers do not converge: some sectors buy more than they make".into(),
        ))
    }

    /// mA.
    fn times(&self, m: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.n];
        for (row, m) in self.coefficients.chunks(self.n).zip(m) {
            for (sum, a) in sum.iter_mut().zip(row) {
                *sum += m * a;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn two_sectors_by_hand() {
        // A = [.2 .3; .4 .1], (I − A)⁻¹ = [.9 .3; .4 .8] / .6
        let table = InputOutput::new(&[20.0, 60.0, 40.0, 20.0], &[100.0, 200.0]).unwrap();
        let m = table.multipliers().unwrap();
        assert!((m[0] - 1.3 / 0.6).abs() < 1e-10 && (m[1] - 1.1 / 0.6).abs() < 1e-10, "{m:?}");
        assert!(InputOutput::new(&[1.0, 0.0, 0.0, 1.0], &[1.0, 1.0]).unwrap().multipliers().is_err());
        assert!(InputOutput::new(&[1.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn the_world_of_2011() {
        let dir = format!("{}/../../data/trade/wiod2013", env!("CARGO_MANIFEST_DIR"));
        let labels = std::fs::read_to_string(format!("{dir}/wiod2011_labels_output.csv")).unwrap();
        let labels: Vec<Vec<&str>> = labels.lines().skip(1).map(|l| l.split(',').collect()).collect();
        let output: Vec<f64> = labels.iter().map(|l| l[3].parse().unwrap()).collect();
        let mut text = String::new();
        let file = std::fs::File::open(format!("{dir}/wiod2011_Z_1435x1435.csv.gz")).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let flows: Vec<f64> = text.lines().flat_map(|l| l.split(',')).map(|z| z.parse().unwrap()).collect();
        assert_eq!((output.len(), flows.len()), (1435, 1435 * 1435));
        assert!((output.iter().sum::<f64>() - 141_767_904.0).abs() < 1.0);
        assert_eq!(flows.iter().filter(|z| **z != 0.0).count(), 413_525);
        let table = InputOutput::new(&flows, &output).unwrap();
        let largest = |list: &[f64]| list.iter().copied().fold(0.0, f64::max);
        assert!((largest(&table.input_shares()) - 0.9104).abs() < 5e-5);
        let multipliers = table.multipliers().unwrap();
        assert!((largest(&multipliers) - 3.629).abs() < 5e-4);
        let electronics = labels.iter().position(|l| l[1] == "KOR" && l[2] == "c14").unwrap();
        assert!((multipliers[electronics] - 3.122).abs() < 5e-4);
        let inputs = table.inputs_of(electronics);
        let whole: f64 = inputs.iter().sum();
        for (country, percent, digits) in [
            ("KOR", 75.4, 0.05),
            ("CHN", 8.1, 0.05),
            ("JPN", 3.26, 0.005),
            ("USA", 3.25, 0.005),
            ("TWN", 3.05, 0.005),
        ] {
            let of: f64 = inputs.iter().zip(&labels).filter(|(_, l)| l[1] == country).map(|(a, _)| a).sum();
            assert!((100.0 * of / whole - percent).abs() <= digits, "{country} {}", 100.0 * of / whole);
        }
    }
}
