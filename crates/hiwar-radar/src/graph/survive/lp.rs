//! The linear programmes of days to recover and days to stop.
//!
//! D. Simchi-Levi et al. 2015 (see [`crate::graph::survive`]). Over a time t, each node j makes u(j);
//! y(i,j,k) goes from i to j for input k; z(j) leaves the network:
//!
//! * r(j,k) u(j) ≤ Σ_i y(i,j,k) + stock(j,k), in units, for each input k,
//! * Σ y out of j + z(j) ≤ u(j) + finished stock of j,
//! * u(j) ≤ capacity(j) t, and u(j) = 0 where j has failed.
//!
//! TTR: t is given, z(j) + l(j) ≥ demand(j) t; least Σ loss(j) l(j): what the failure costs.
//! TTS: z(j) ≥ demand(j) t; most t. Stocks in units are days × normal output × units needed.
//!
//! On chains, and where no two suppliers of one input stop, TTS is the closed form of
//! [`crate::graph::survive`]. Where they do, the closed form has the longest of them go on alone, while
//! the programme lets them share the work and so lasts longer; where a capacity binds, shorter. The closed
//! form counts days of normal output: with a demand that is not `per_day`, the programme's days are others.

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, Variable};

use crate::graph::network::GraphError;
use crate::graph::survive::Bill;

struct Parts {
    problem: Problem,
    /// How long; none when the time is given.
    time: Option<Variable>,
}

fn solve(problem: &Problem) -> Result<Option<f64>, GraphError> {
    match problem.solve() {
        Ok(outcome) => match outcome.into_solution() {
            Ok(solution) => Ok(Some(solution.objective())),
            Err(_) => Err(GraphError::Invalid("the linear programme ended without a solution".into())),
        },
        Err(microlp::Error::Unbounded) => Ok(None),
        Err(error) => Err(GraphError::Invalid(format!("the linear programme: {error}"))),
    }
}

/// `days`: the given time, with unserved demand allowed; `None`: the most time without any.
fn build(bill: &Bill, failed: &[usize], days: Option<f64>) -> Parts {
    let direction =
        if days.is_some() { OptimizationDirection::Minimize } else { OptimizationDirection::Maximize };
    let mut problem = Problem::new(direction);
    let time = days.is_none().then(|| problem.add_var(1.0, (0.0, f64::INFINITY)));
    let free = (0.0, f64::INFINITY);
    let nodes = bill.nodes();
    let made: Vec<Variable> = (0..nodes.len())
        .map(|j| problem.add_var(0.0, if failed.contains(&j) { (0.0, 0.0) } else { free }))
        .collect();
    let mut out: Vec<LinearExpr> = (0..nodes.len()).map(|_| LinearExpr::empty()).collect();
    for (j, (node, &made)) in nodes.iter().zip(&made).enumerate() {
        for (k, input) in node.inputs.iter().enumerate() {
            let mut need = LinearExpr::empty();
            need.add(made, input.per_unit);
            for &i in bill.suppliers(j, k) {
                let flow = problem.add_var(0.0, free);
                need.add(flow, -1.0);
                if let Some(out) = out.get_mut(i) {
                    out.add(flow, 1.0);
                }
            }
            let stock = input.stock_days * node.per_day * input.per_unit;
            problem.add_constraint(need, ComparisonOp::Le, stock);
        }
    }
    for ((node, &made), mut out) in nodes.iter().zip(&made).zip(out) {
        if let Some(capacity) = node.capacity_per_day {
            match (time, days) {
                (Some(time), _) => {
                    problem.add_constraint([(made, 1.0), (time, -capacity)], ComparisonOp::Le, 0.0)
                }
                (None, days) => {
                    problem.add_constraint([(made, 1.0)], ComparisonOp::Le, capacity * days.unwrap_or(0.0));
                }
            }
        }
        if node.demand_per_day > 0.0 {
            let served = problem.add_var(0.0, free);
            out.add(served, 1.0);
            match (time, days) {
                (Some(time), _) => {
                    problem.add_constraint(
                        [(served, 1.0), (time, -node.demand_per_day)],
                        ComparisonOp::Ge,
                        0.0,
                    );
                }
                (None, days) => {
                    let lost = problem.add_var(node.loss_per_unit, free);
                    let demand = node.demand_per_day * days.unwrap_or(0.0);
                    problem.add_constraint([(served, 1.0), (lost, 1.0)], ComparisonOp::Ge, demand);
                }
            }
        }
        out.add(made, -1.0);
        problem.add_constraint(out, ComparisonOp::Le, node.finished_days * node.per_day);
    }
    Parts { problem, time }
}

/// The most days for which all demand can be served after some nodes fail; `None` without end.
///
/// # Errors
///
/// When a node does not exist or the solver fails.
pub fn days_to_stop(bill: &Bill, failed: &[usize]) -> Result<Option<f64>, GraphError> {
    check(bill, failed)?;
    let parts = build(bill, failed, None);
    debug_assert!(parts.time.is_some());
    solve(&parts.problem)
}

/// The least loss (units unserved × loss per unit) over the days until the failed nodes are back.
///
/// # Errors
///
/// When a node does not exist, the days are negative or not finite, or the solver fails.
pub fn least_loss(bill: &Bill, failed: &[usize], ttr_days: f64) -> Result<f64, GraphError> {
    check(bill, failed)?;
    if !(ttr_days.is_finite() && ttr_days >= 0.0) {
        return Err(GraphError::Invalid(format!(
            "{ttr_days} days to recover: must be finite and not negative"
        )));
    }
    let parts = build(bill, failed, Some(ttr_days));
    Ok(solve(&parts.problem)?.unwrap_or(0.0))
}

fn check(bill: &Bill, failed: &[usize]) -> Result<(), GraphError> {
    match failed.iter().find(|&&at| at >= bill.nodes().len()) {
        Some(at) => Err(GraphError::Invalid(format!("no node {at} of {}", bill.nodes().len()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::survive::tests::{CASES, bill};

    #[test]
    fn the_programme_gives_the_closed_form() {
        for (lines, failed, expected) in CASES {
            let mut nodes = bill(lines).nodes().to_vec();
            nodes.last_mut().unwrap().demand_per_day = 1.0;
            let bill = Bill::new(nodes).unwrap();
            let failed = bill.node(failed).unwrap();
            let got = days_to_stop(&bill, &[failed]).unwrap();
            // Where both sources hang on the failed node, the programme may use both stocks up.
            let expected = if lines.contains("B2") { Some(38.0) } else { expected };
            match (got, expected) {
                (Some(got), Some(expected)) => assert!((got - expected).abs() < 1e-7, "{lines}: {got}"),
                (got, expected) => assert_eq!(got, expected, "{lines}"),
            }
            if let Some(days) = expected {
                assert!(least_loss(&bill, &[failed], days).unwrap().abs() < 1e-7, "{lines}");
                assert!((least_loss(&bill, &[failed], days + 3.0).unwrap() - 3.0).abs() < 1e-7, "{lines}");
            }
        }
    }

    #[test]
    fn capacity_limits_what_a_second_source_can_do() {
        let mut nodes = bill("A1:\nA2:\nC:A 10 A1 A2").nodes().to_vec();
        nodes[1].capacity_per_day = Some(0.5);
        nodes[2].demand_per_day = 1.0;
        let bill = Bill::new(nodes).unwrap();
        // 10 in stock, half a unit missing a day: 20 days; then half a unit a day for 20 days.
        assert!((days_to_stop(&bill, &[0]).unwrap().unwrap() - 20.0).abs() < 1e-7);
        assert!((least_loss(&bill, &[0], 40.0).unwrap() - 10.0).abs() < 1e-7);
        assert!(least_loss(&bill, &[1], 40.0).unwrap().abs() < 1e-7);
        assert!(days_to_stop(&bill, &[9]).is_err());
    }
}
