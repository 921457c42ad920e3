//! The cascade by its changes. The definition is in [`crate::graph::esri`]; here losses d = 1 − hd
//! and u = 1 − hu are kept. They only grow, so that
//!
//! * a slot (buyer, essential sector of suppliers), or (buyer, all other suppliers), holds the sum
//!   of Λd σ d of its suppliers, and d(j) is the largest of the shock and the slots of j,
//! * σ changes only in markets where something fell,
//! * a round touches the links of those firms alone that changed in the round before.
//!
//! Changes that cannot matter are held back: a firm passes its loss on once what it has not passed
//! on exceeds a threshold. Upstream, where the cascade is linear, that is `allowed / worth`, worth
//! being the most that a unit of the firm's loss can add to the index, Σ_t w Λu^t over [`HORIZON`]
//! rounds; the error is estimated by what is held back at the end times worth, to which delays on the
//! way add little. Downstream the threshold is the same for all firms, and as no row of Λd, slot by
//! slot, has a sum above 1, threshold · rounds bounds the error (with replaceability as long as what
//! is held back hardly moves the market shares). A cascade whose estimate exceeds the tolerance, or
//! whose end hangs on a fall within [`GUARD`] of eps, is computed again with less and in the end with
//! nothing held back. Tests compare with the definition; so does `examples/esri_speed.rs`.
//!
//! Lanes of eight cascades over one pass of the links were tried and were several times slower.
//!
//! Firms are numbered by falling count of links, so that what is touched most lies together.

use crate::graph::esri::{Cascade, Essentiality, Options, Shock, check_options};
use crate::graph::network::{GraphError, Network};

mod scratch;

use scratch::Loss;
pub(crate) use scratch::Scratch;

const HORIZON: u32 = 100;
/// What a firm may hold back downstream: the tolerance divided by this.
const HOLDS_DOWN: f64 = 16.0;
/// How many times more each firm may hold back than if all firms of the network held back as much.
const SHARE: f64 = 60.0;
const GUARD: f64 = 1e-5;
/// Shares of what may be held back, from attempt to attempt.
const PARTS: [f64; 3] = [1.0, 0.1, 0.01];

#[derive(Clone, Copy)]
struct Down {
    slot: u32,
    share: f64,
}

/// Of a firm.
#[derive(Clone, Copy)]
struct Worth {
    /// Its share of all output.
    own: f64,
    /// The most that a unit of its loss adds to the index upstream.
    up: f64,
}

/// A network made ready.
pub(crate) struct Model {
    order: Vec<u32>,
    place: Vec<u32>,
    sales: Vec<f64>,
    market: Vec<u32>,
    market_total: Vec<f64>,
    down_from: Vec<u32>,
    down: Vec<Down>,
    slot_buyer: Vec<u32>,
    up_from: Vec<u32>,
    up_supplier: Vec<u32>,
    up_share: Vec<f64>,
    hold_down: f64,
    hold_up: Vec<f64>,
    worth: Vec<Worth>,
    options: Options,
}

/// The worths over [`HORIZON`] rounds, or fewer when they hardly grow any more.
fn converge(weight: &[f64], step: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let mut worth = weight.to_vec();
    for _ in 0..HORIZON {
        let next = step(&worth);
        let (grown, whole) =
            (next.iter().zip(&worth).map(|(a, b)| a - b).sum::<f64>(), next.iter().sum::<f64>());
        worth = next;
        if grown < 1e-3 * whole {
            break;
        }
    }
    worth
}

fn index(i: usize) -> u32 {
    // Network::new refuses more than u32::MAX firms or links.
    u32::try_from(i).unwrap_or(u32::MAX)
}

impl Model {
    pub(crate) fn new(network: &Network, options: &Options) -> Result<Self, GraphError> {
        check_options(options)?;
        let (firms, links) = (network.firms(), network.links());
        let (n, sectors) = (firms.len(), network.sectors().len());
        let table = match &options.essentiality {
            Essentiality::Table(table) => Some(table.for_network(network)?),
            _ => None,
        };
        let need = |s: u32, b: u32| {
            let (p, q) = (firms[s as usize].sector as usize, firms[b as usize].sector as usize);
            match (&table, &options.essentiality) {
                (Some(table), _) => table[p * sectors + q],
                (None, Essentiality::AllEssential) => 2,
                (None, _) => 1,
            }
        };
        let mut degree = vec![0_u32; n];
        for l in links {
            degree[l.supplier as usize] += 1;
            degree[l.buyer as usize] += 1;
        }
        let mut order: Vec<u32> = (0..index(n)).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(degree[i as usize]));
        let mut place = vec![0_u32; n];
        for (at, &i) in order.iter().enumerate() {
            place[i as usize] = index(at);
        }
        let (old_sales, purchases) = (network.sales(), network.purchases());
        let total: f64 = old_sales.iter().sum();
        let sales: Vec<f64> = order.iter().map(|&i| old_sales[i as usize]).collect();
        let own = |s: &f64| Worth { own: if total > 0.0 { s / total } else { 0.0 }, up: 0.0 };
        let worth = sales.iter().map(own).collect();
        let market: Vec<u32> = order.iter().map(|&i| firms[i as usize].market).collect();
        let mut market_total = vec![0.0; network.markets().len()];
        for (s, &m) in sales.iter().zip(&market) {
            market_total[m as usize] += s;
        }

        // By buyer, essential sector (or none), supplier: each run of the first two is a slot.
        let mut by_buyer: Vec<(u32, u32, u32, f64)> = links
            .iter()
            .map(|l| {
                let (s, b) = (l.supplier, l.buyer);
                let group = match need(s, b) {
                    2 => firms[s as usize].sector,
                    1 => u32::MAX - 1,
                    _ => u32::MAX,
                };
                (place[b as usize], group, place[s as usize], l.weight)
            })
            .collect();
        by_buyer.sort_unstable_by_key(|&(b, group, s, _)| (b, group, s));
        let (mut up_from, mut up_supplier, mut up_share) = (vec![0], Vec::new(), Vec::new());
        for &(b, _, s, w) in &by_buyer {
            while up_from.len() <= b as usize {
                up_from.push(index(up_share.len()));
            }
            up_supplier.push(s);
            up_share.push(w / sales[s as usize]);
        }
        up_from.resize(n + 1, index(up_share.len()));
        let mut slot_buyer = Vec::new();
        let mut edges: Vec<(u32, u32, f64)> = Vec::with_capacity(links.len());
        for run in by_buyer.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some(&(b, group, _, _)) = run.first() else { continue };
            let whole = match group {
                u32::MAX => continue,
                g if g == u32::MAX - 1 => purchases[order[b as usize] as usize],
                _ => run.iter().map(|r| r.3).sum::<f64>(),
            };
            let slot = index(slot_buyer.len());
            slot_buyer.push(b);
            edges.extend(run.iter().map(|&(_, _, s, w)| (s, slot, w / whole)));
        }
        edges.sort_unstable_by_key(|&(s, slot, _)| (s, slot));
        let (mut down_from, mut down) = (vec![0], Vec::with_capacity(edges.len()));
        for (s, slot, share) in edges {
            while down_from.len() <= s as usize {
                down_from.push(index(down.len()));
            }
            down.push(Down { slot, share });
        }
        down_from.resize(n + 1, index(down.len()));
        let mut model = Self {
            order,
            place,
            sales,
            market,
            market_total,
            down_from,
            down,
            slot_buyer,
            up_from,
            up_supplier,
            up_share,
            hold_down: 0.0,
            hold_up: vec![0.0; n],
            worth,
            options: options.clone(),
        };
        model.set_holds();
        Ok(model)
    }

    /// How much of its loss each firm may keep to itself.
    fn set_holds(&mut self) {
        let n = self.order.len();
        if self.options.tolerance == 0.0 || n == 0 {
            return;
        }
        let allowed = SHARE * self.options.tolerance / n as f64;
        let own: Vec<f64> = self.worth.iter().map(|w| w.own).collect();
        let step_up = |worth: &[f64]| -> Vec<f64> {
            let of = |(supplier, share): (u32, f64)| share * worth[supplier as usize];
            (0..n).map(|j| self.worth[j].own + self.up_of(j).map(of).sum::<f64>()).collect()
        };
        let worth_up = converge(&own, step_up);
        // A fall is compared with eps: no firm holds back more than a little of that.
        let most = GUARD * 0.1;
        let hold = |worth: &f64| (allowed / worth.max(f64::MIN_POSITIVE)).min(most);
        self.hold_down = (self.options.tolerance / HOLDS_DOWN).min(most);
        self.hold_up = worth_up.iter().map(hold).collect();
        self.worth.iter_mut().zip(worth_up).for_each(|(worth, up)| worth.up = up);
    }

    fn down_of(&self, i: usize) -> &[Down] {
        &self.down[self.down_from[i] as usize..self.down_from[i + 1] as usize]
    }

    /// The suppliers of a firm and what share of their sales it buys. In two lists, which are less to
    /// read than one of pairs.
    fn up_of(&self, i: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = self.up_from[i] as usize..self.up_from[i + 1] as usize;
        self.up_supplier[range.clone()].iter().copied().zip(self.up_share[range].iter().copied())
    }

    /// The cascade of a shock, which has been checked.
    pub(crate) fn run(&self, scratch: &mut Scratch, shock: &[Shock]) -> Cascade {
        if self.options.tolerance > 0.0 {
            for part in PARTS {
                if let Some(cascade) = self.cascade(scratch, shock, part) {
                    return cascade;
                }
            }
        }
        self.cascade(scratch, shock, 0.0).unwrap_or_default()
    }

    /// `None` when what is held back might decide whether the cascade goes on.
    fn cascade(&self, x: &mut Scratch, shock: &[Shock], part: f64) -> Option<Cascade> {
        let eps = self.options.eps;
        for &(firm, lost) in shock {
            let i = self.place[firm as usize];
            if lost > 0.0 {
                x.down[i as usize] = Loss { now: lost, before: 0.0, round: 0 };
                let up = &mut x.up[i as usize];
                (up.floor, up.sent) = (lost, lost);
                x.touched_down.push(i);
                x.touched_up.push(i);
                x.changed_down.push(i);
                x.sources_up.push((i, lost));
            }
        }
        let (mut rounds, mut visits, mut unsure) = (0, 0, false);
        while rounds < self.options.max_rounds {
            rounds += 1;
            let fall = self.step_down(x, rounds, part, &mut visits).max(self.step_up(x, part, &mut visits));
            if part > 0.0 && (fall - eps).abs() < part * GUARD {
                unsure = true;
                break;
            }
            if fall < eps {
                break;
            }
        }
        let (result, error) = self.sum(x, part, rounds, visits);
        let unsure = unsure || part > 0.0 && error > self.options.tolerance;
        x.clear();
        (!unsure).then_some(result)
    }

    fn step_down(&self, x: &mut Scratch, round: u32, part: f64, visits: &mut u64) -> f64 {
        x.sources.clear();
        let hold = part * self.hold_down;
        if self.options.replaceability {
            x.dirty.clear();
            for &i in &x.changed_down {
                let loss = x.down[i as usize];
                let m = self.market[i as usize] as usize;
                x.market_lost[m] += self.sales[i as usize] * (loss.now - loss.before);
                if x.market_round[m] != round {
                    if x.market_round[m] == 0 {
                        x.markets.push(index(m));
                    }
                    x.market_round[m] = round;
                    x.dirty.push(index(m));
                }
                if loss.before == 0.0 {
                    x.market_firms[m].push(i);
                }
            }
            for &m in &x.dirty {
                let left = self.market_total[m as usize] - x.market_lost[m as usize];
                for &i in &x.market_firms[m as usize] {
                    let at = i as usize;
                    let sigma = if left > 0.0 { (self.sales[at] / left).min(1.0) } else { 1.0 };
                    let change = sigma * x.down[at].now - x.sent_down[at];
                    if change > hold {
                        x.sent_down[at] += change;
                        x.sources.push((i, change));
                    }
                }
            }
        } else {
            for &i in &x.changed_down {
                let at = i as usize;
                let change = x.down[at].now - x.sent_down[at];
                if change > hold {
                    x.sent_down[at] += change;
                    x.sources.push((i, change));
                }
            }
        }
        x.changed_down.clear();
        for &(i, change) in &x.sources {
            let edges = self.down_of(i as usize);
            *visits += edges.len() as u64;
            for e in edges {
                let slot = &mut x.slots[e.slot as usize];
                if slot.loss == 0.0 {
                    x.touched_slots.push(e.slot);
                }
                slot.loss += e.share * change;
                let (lost, buyer) = (slot.loss.min(1.0), slot.buyer);
                let loss = &mut x.down[buyer as usize];
                if lost > loss.now {
                    if loss.round != round {
                        if loss.now == 0.0 {
                            x.touched_down.push(buyer);
                        }
                        loss.round = round;
                        loss.before = loss.now;
                        x.changed_down.push(buyer);
                    }
                    loss.now = lost;
                }
            }
        }
        most(&x.down, &x.changed_down)
    }

    fn step_up(&self, x: &mut Scratch, part: f64, visits: &mut u64) -> f64 {
        let growth = x.growth.as_mut_slice();
        // As long as the firms, and one place for what is written and not counted.
        let changed = x.changed_up.as_mut_slice();
        let mut count = 0;
        for &(i, change) in &x.sources_up {
            *visits += u64::from(self.up_from[i as usize + 1] - self.up_from[i as usize]);
            for (supplier, share) in self.up_of(i as usize) {
                let growth = &mut growth[supplier as usize];
                // Without a branch: whether a firm is met for the first time cannot be predicted.
                changed[count] = supplier;
                count += usize::from(*growth == 0.0);
                *growth += share * change;
            }
        }
        x.sources_up.clear();
        let mut most = 0.0_f64;
        for &i in &changed[..count] {
            let at = i as usize;
            let up = &mut x.up[at];
            if up.sum == 0.0 && up.floor == 0.0 {
                x.touched_up.push(i);
            }
            let before = up.lost();
            up.sum += std::mem::take(&mut growth[at]);
            let now = up.lost();
            most = most.max(now - before);
            let change = now - up.sent;
            if change > part * up.hold {
                up.sent = now;
                x.sources_up.push((i, change));
            }
        }
        most
    }

    /// The sums, and an estimate of the error by what was held back, in units of the index.
    fn sum(&self, x: &Scratch, part: f64, rounds: u32, visits: u64) -> (Cascade, f64) {
        let (mut up, mut error) = (0.0, 0.0);
        for &i in &x.touched_up {
            let (state, worth) = (&x.up[i as usize], self.worth[i as usize]);
            let lost = state.lost();
            up += worth.own * lost;
            error += worth.up * (lost - state.sent);
        }
        let mut result = Cascade { esri: up, down: 0.0, up, rounds, visits };
        let mut touched = 0.0;
        for &i in &x.touched_down {
            let (own, d) = (self.worth[i as usize].own, x.down[i as usize].now);
            touched += own;
            result.down += own * d;
            result.esri += own * (d - x.up[i as usize].lost()).max(0.0);
        }
        (result, error + part * self.hold_down * f64::from(rounds) * touched)
    }
}

fn most(losses: &[Loss], changed: &[u32]) -> f64 {
    changed.iter().map(|&i| losses[i as usize]).map(|l| l.now - l.before).fold(0.0, f64::max)
}
