//! What a thread keeps while a cascade runs, and forgets after it.

use super::Model;

#[derive(Clone, Copy, Default)]
pub(super) struct Loss {
    pub(super) now: f64,
    pub(super) before: f64,
    pub(super) round: u32,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) loss: f64,
    pub(super) buyer: u32,
}

/// Of a firm, upstream. It loses the larger of `floor`, by the shock, and `sum`, by its buyers.
#[derive(Clone, Copy, Default)]
pub(super) struct Upstream {
    pub(super) sum: f64,
    pub(super) floor: f64,
    pub(super) sent: f64,
    /// What may be held back: with the rest, so that it is at hand.
    pub(super) hold: f64,
}

impl Upstream {
    pub(super) fn lost(&self) -> f64 {
        self.sum.min(1.0).max(self.floor)
    }
}

/// What one thread needs for a cascade; as it was when new, between cascades.
pub(crate) struct Scratch {
    pub(super) down: Vec<Loss>,
    pub(super) up: Vec<Upstream>,
    pub(super) growth: Vec<f64>,
    pub(super) slots: Vec<Slot>,
    pub(super) sent_down: Vec<f64>,
    pub(super) market_lost: Vec<f64>,
    pub(super) market_round: Vec<u32>,
    pub(super) market_firms: Vec<Vec<u32>>,
    pub(super) markets: Vec<u32>,
    pub(super) dirty: Vec<u32>,
    pub(super) touched_down: Vec<u32>,
    pub(super) touched_up: Vec<u32>,
    pub(super) touched_slots: Vec<u32>,
    pub(super) changed_down: Vec<u32>,
    pub(super) changed_up: Vec<u32>,
    pub(super) sources: Vec<(u32, f64)>,
    pub(super) sources_up: Vec<(u32, f64)>,
}

impl Scratch {
    pub(crate) fn new(model: &Model) -> Self {
        let (n, markets) = (model.order.len(), model.market_total.len());
        Self {
            down: vec![Loss::default(); n],
            up: model.hold_up.iter().map(|&hold| Upstream { hold, ..Upstream::default() }).collect(),
            growth: vec![0.0; n],
            slots: model.slot_buyer.iter().map(|&buyer| Slot { loss: 0.0, buyer }).collect(),
            sent_down: vec![0.0; n],
            market_lost: vec![0.0; markets],
            market_round: vec![0; markets],
            market_firms: vec![Vec::new(); markets],
            markets: Vec::new(),
            dirty: Vec::new(),
            touched_down: Vec::new(),
            touched_up: Vec::new(),
            touched_slots: Vec::new(),
            changed_down: Vec::new(),
            changed_up: vec![0; n + 1],
            sources: Vec::new(),
            sources_up: Vec::new(),
        }
    }

    /// As it was when new.
    pub(super) fn clear(&mut self) {
        for &i in &self.touched_down {
            self.down[i as usize] = Loss::default();
            self.sent_down[i as usize] = 0.0;
        }
        for &i in &self.touched_up {
            let up = &mut self.up[i as usize];
            *up = Upstream { hold: up.hold, ..Upstream::default() };
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
        ] {
            list.clear();
        }
        self.sources_up.clear();
    }
}
