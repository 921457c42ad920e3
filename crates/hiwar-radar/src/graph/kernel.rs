//! The cascade by its changes. The definition is in [`crate::graph::esri`]; here losses d = 1 − hd
//! and u = 1 − hu are kept. They only grow, so that
//!
//! * a slot (buyer, essential sector of suppliers), or (buyer, all other suppliers), holds the sum
//!   of Λd σ d of its suppliers, and d(j) is the largest of the shock and the slots of j,
//! * σ changes only in markets where something fell,
//! * a round touches the links of those firms alone that changed in the round before.
//!
//! What a firm has not passed on yet is at most `allowed / worth`, where its worth is the most that
//! a unit of its loss can add to the index over [`HORIZON`] rounds if nothing absorbs it. The sum of
//! what is held back then stays below the tolerance. A cascade whose end hangs on a fall
//! within [`GUARD`] of eps is computed again with nothing held back.
//!
//! Firms are numbered by falling count of links, so that what is touched most lies together.

use crate::graph::esri::{Cascade, Essentiality, Options, Shock, check_options};
use crate::graph::network::{GraphError, Network};

const HORIZON: u32 = 12;
const GUARD: f64 = 1e-5;

#[derive(Clone, Copy)]
struct Down {
    slot: u32,
    share: f64,
}

#[derive(Clone, Copy)]
struct Up {
    supplier: u32,
    share: f64,
}

/// A network made ready.
pub(crate) struct Model {
    order: Vec<u32>,
    place: Vec<u32>,
    weight: Vec<f64>,
    sales: Vec<f64>,
    market: Vec<u32>,
    market_total: Vec<f64>,
    down_from: Vec<u32>,
    down: Vec<Down>,
    slot_buyer: Vec<u32>,
    up_from: Vec<u32>,
    up: Vec<Up>,
    hold_down: Vec<f64>,
    hold_up: Vec<f64>,
    options: Options,
}

#[derive(Clone, Copy, Default)]
struct Loss {
    now: f64,
    before: f64,
    round: u32,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    loss: f64,
    buyer: u32,
}

/// What one thread needs for a cascade; as it was when new, between cascades.
pub(crate) struct Scratch {
    down: Vec<Loss>,
    up: Vec<Loss>,
    slots: Vec<Slot>,
    sent_down: Vec<f64>,
    sent_up: Vec<f64>,
    up_sum: Vec<f64>,
    market_lost: Vec<f64>,
    market_round: Vec<u32>,
    market_firms: Vec<Vec<u32>>,
    markets: Vec<u32>,
    dirty: Vec<u32>,
    touched_down: Vec<u32>,
    touched_up: Vec<u32>,
    touched_slots: Vec<u32>,
    changed_down: Vec<u32>,
    changed_up: Vec<u32>,
    sources: Vec<(u32, f64)>,
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
        let weight = sales.iter().map(|s| if total > 0.0 { s / total } else { 0.0 }).collect();
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
        let (mut up_from, mut up) = (vec![0], Vec::with_capacity(links.len()));
        for &(b, _, s, w) in &by_buyer {
            while up_from.len() <= b as usize {
                up_from.push(index(up.len()));
            }
            up.push(Up { supplier: s, share: w / sales[s as usize] });
        }
        up_from.resize(n + 1, index(up.len()));
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
            weight,
            sales,
            market,
            market_total,
            down_from,
            down,
            slot_buyer,
            up_from,
            up,
            hold_down: vec![0.0; n],
            hold_up: vec![0.0; n],
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
        let allowed = self.options.tolerance / n as f64;
        let (mut worth_down, mut worth_up) = (self.weight.clone(), self.weight.clone());
        for _ in 0..HORIZON {
            worth_down = (0..n)
                .map(|i| {
                    let sum: f64 = self
                        .down_of(i)
                        .iter()
                        .map(|e| e.share * worth_down[self.slot_buyer[e.slot as usize] as usize])
                        .sum();
                    self.weight[i] + sum
                })
                .collect();
            worth_up = (0..n)
                .map(|j| {
                    let sum: f64 = self.up_of(j).iter().map(|e| e.share * worth_up[e.supplier as usize]).sum();
                    self.weight[j] + sum
                })
                .collect();
        }
        // A fall is compared with eps: no firm holds back more than a little of that.
        let most = GUARD * 1e-3;
        let hold = |worth: &f64| (allowed / worth.max(f64::MIN_POSITIVE)).min(most);
        self.hold_down = worth_down.iter().map(hold).collect();
        self.hold_up = worth_up.iter().map(hold).collect();
    }

    fn down_of(&self, i: usize) -> &[Down] {
        &self.down[self.down_from[i] as usize..self.down_from[i + 1] as usize]
    }

    fn up_of(&self, i: usize) -> &[Up] {
        &self.up[self.up_from[i] as usize..self.up_from[i + 1] as usize]
    }

    /// The firm at a place of the inner order.
    pub(crate) fn firm_at(&self, place: usize) -> u32 {
        self.order[place]
    }

    /// The cascade of a shock, which has been checked.
    pub(crate) fn run(&self, scratch: &mut Scratch, shock: &[Shock]) -> Cascade {
        let held = self.options.tolerance > 0.0;
        match self.cascade(scratch, shock, held) {
            Some(cascade) => cascade,
            None => self.cascade(scratch, shock, false).unwrap_or_default(),
        }
    }

    /// `None` when what is held back might decide whether the cascade goes on.
    fn cascade(&self, x: &mut Scratch, shock: &[Shock], held: bool) -> Option<Cascade> {
        let eps = self.options.eps;
        for &(firm, lost) in shock {
            let i = self.place[firm as usize];
            if lost > 0.0 {
                for (loss, touched, changed) in [
                    (&mut x.down[i as usize], &mut x.touched_down, &mut x.changed_down),
                    (&mut x.up[i as usize], &mut x.touched_up, &mut x.changed_up),
                ] {
                    *loss = Loss { now: lost, before: 0.0, round: 0 };
                    touched.push(i);
                    changed.push(i);
                }
            }
        }
        let (mut rounds, mut visits, mut unsure) = (0, 0, false);
        while rounds < self.options.max_rounds {
            rounds += 1;
            let fall = self.step_down(x, rounds, held, &mut visits).max(self.step_up(x, rounds, held, &mut visits));
            if held && (fall - eps).abs() < GUARD && fall > 0.0 {
                unsure = true;
                break;
            }
            if fall < eps {
                break;
            }
        }
        let result = self.sum(x, rounds, visits);
        x.clear();
        (!unsure).then_some(result)
    }

    fn step_down(&self, x: &mut Scratch, round: u32, held: bool, visits: &mut u64) -> f64 {
        x.sources.clear();
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
                    if change > if held { self.hold_down[at] } else { 0.0 } {
                        x.sent_down[at] += change;
                        x.sources.push((i, change));
                    }
                }
            }
        } else {
            for &i in &x.changed_down {
                let at = i as usize;
                let change = x.down[at].now - x.sent_down[at];
                if change > if held { self.hold_down[at] } else { 0.0 } {
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

    fn step_up(&self, x: &mut Scratch, round: u32, held: bool, visits: &mut u64) -> f64 {
        x.sources.clear();
        for &i in &x.changed_up {
            let at = i as usize;
            let change = x.up[at].now - x.sent_up[at];
            if change > if held { self.hold_up[at] } else { 0.0 } {
                x.sent_up[at] += change;
                x.sources.push((i, change));
            }
        }
        x.changed_up.clear();
        for &(i, change) in &x.sources {
            let edges = self.up_of(i as usize);
            *visits += edges.len() as u64;
            for e in edges {
                let s = e.supplier as usize;
                x.up_sum[s] += e.share * change;
                let lost = x.up_sum[s].min(1.0);
                let loss = &mut x.up[s];
                if lost > loss.now {
                    if loss.round != round {
                        if loss.now == 0.0 {
                            x.touched_up.push(e.supplier);
                        }
                        loss.round = round;
                        loss.before = loss.now;
                        x.changed_up.push(e.supplier);
                    }
                    loss.now = lost;
                } else if loss.now == 1.0 {
                    // A firm that has failed: its sum matters no more, but must be cleared.
                }
            }
        }
        most(&x.up, &x.changed_up)
    }

    fn sum(&self, x: &Scratch, rounds: u32, visits: u64) -> Cascade {
        let mut result = Cascade { rounds, visits, ..Cascade::default() };
        for &i in &x.touched_down {
            let (w, d, u) = (self.weight[i as usize], x.down[i as usize].now, x.up[i as usize].now);
            result.down += w * d;
            result.esri += w * d.max(u);
        }
        for &i in &x.touched_up {
            let (w, d, u) = (self.weight[i as usize], x.down[i as usize].now, x.up[i as usize].now);
            result.up += w * u;
            if d == 0.0 {
                result.esri += w * u;
            }
        }
        result
    }
}

fn most(losses: &[Loss], changed: &[u32]) -> f64 {
    changed.iter().map(|&i| losses[i as usize]).map(|l| l.now - l.before).fold(0.0, f64::max)
}

impl Scratch {
    pub(crate) fn new(model: &Model) -> Self {
        let (n, markets) = (model.order.len(), model.market_total.len());
        Self {
            down: vec![Loss::default(); n],
            up: vec![Loss::default(); n],
            slots: model.slot_buyer.iter().map(|&buyer| Slot { loss: 0.0, buyer }).collect(),
            sent_down: vec![0.0; n],
            sent_up: vec![0.0; n],
            up_sum: vec![0.0; n],
            market_lost: vec![0.0; markets],
            market_round: vec![0; markets],
            market_firms: vec![Vec::new(); markets],
            markets: Vec::new(),
            dirty: Vec::new(),
            touched_down: Vec::new(),
            touched_up: Vec::new(),
            touched_slots: Vec::new(),
            changed_down: Vec::new(),
            changed_up: Vec::new(),
            sources: Vec::new(),
        }
    }

    fn clear(&mut self) {
        for &i in &self.touched_down {
            self.down[i as usize] = Loss::default();
            self.sent_down[i as usize] = 0.0;
        }
        for &i in &self.touched_up {
            self.up[i as usize] = Loss::default();
            self.sent_up[i as usize] = 0.0;
            self.up_sum[i as usize] = 0.0;
        }
        for &i in &self.touched_slots {
            self.slots[i as usize].loss = 0.0;
        }
        for &m in &self.markets {
            self.market_lost[m as usize] = 0.0;
            self.market_round[m as usize] = 0;
            self.market_firms[m as usize].clear();
        }
        for list in [
            &mut self.touched_down,
            &mut self.touched_up,
            &mut self.touched_slots,
            &mut self.markets,
            &mut self.changed_down,
            &mut self.changed_up,
        ] {
            list.clear();
        }
    }
}
