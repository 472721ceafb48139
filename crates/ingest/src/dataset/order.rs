//! The order in which samples come: a new shuffle for every epoch.

use fonds_core::Seed;

use crate::draw::Draw;

/// The order of `len` samples, epoch after epoch, of one side.
#[derive(Debug)]
pub(super) struct Order {
    seed: Seed,
    len: usize,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Order {
    pub(super) fn new(seed: Seed, side: usize, len: usize) -> Self {
        Self {
            seed: seed.derive(&format!("order {side}")),
            len,
            epoch: None,
        }
    }

    /// Which sample is the one at `position`, counted from the beginning of the run.
    pub(super) fn at(&mut self, position: u64) -> usize {
        let epoch = position / self.len as u64;
        let within = (position % self.len as u64) as usize;
        match &self.epoch {
            Some((known, order)) if *known == epoch => order[within],
            _ => {
                let mut order: Vec<usize> = (0..self.len).collect();
                Draw::new(self.seed.derive(&epoch.to_string())).shuffle(&mut order);
                let found = order[within];
                self.epoch = Some((epoch, order));
                found
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_everything_once_in_its_own_order() {
        let mut order = Order::new(Seed::new(3), 0, 50);
        let epochs: Vec<Vec<usize>> = (0..3)
            .map(|epoch| (0..50).map(|i| order.at(epoch * 50 + i)).collect())
            .collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(order.at(7), epochs[0][7]);
        assert_ne!(Order::new(Seed::new(3), 1, 50).at(7), epochs[0][7]);
    }
}
