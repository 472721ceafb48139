//! The watchmen: who looks at losses, verdicts and weights while training goes on, and says when
//! something is going wrong.
//!
//! What they remember is part of every checkpoint, so that a resumed run warns where an unbroken one
//! would have.

use std::collections::BTreeMap;

use fonds_core::{Code, Error, Result};
use fonds_nn::train::{State, Terms, Verdict};

use super::event::Alarm;
use super::spec::WatchPlan;

/// Steps at the beginning whose losses show what is usual.
const FIRST: u64 = 10;

/// A warning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Warning {
    pub(super) alarm: Alarm,
    pub(super) message: String,
    /// What was found, and the bound that it passed.
    pub(super) value: f64,
    pub(super) bound: f64,
}

/// All watchmen of a run.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    plan: WatchPlan,
    /// Numbers by name: counts, sums and levels.
    memory: BTreeMap<String, f64>,
}

impl Watch {
    /// Nothing is known yet.
    pub(super) fn new(plan: &WatchPlan) -> Self {
        Self {
            plan: plan.clone(),
            memory: BTreeMap::new(),
        }
    }

    /// When they warn.
    pub(super) fn plan(&self) -> &WatchPlan {
        &self.plan
    }

    /// Takes back what [`Watch::to_text`] gave.
    ///
    /// # Errors
    /// `corrupt` when it is no such text.
    pub(super) fn from_text(plan: &WatchPlan, text: &str) -> Result<Self> {
        let mut watch = Self::new(plan);
        for line in text.lines() {
            let read = line.rsplit_once(' ').and_then(|(name, value)| {
                let value = value.parse().ok()?;
                Some((name.to_owned(), value))
            });
            let Some((name, value)) = read else {
                let message = format!("the watchmen remember `{line}`");
                return Err(Error::new(Code::Corrupt, message));
            };
            watch.memory.insert(name, value);
        }
        Ok(watch)
    }

    /// What is to be remembered; numbers come back to the bit.
    pub(super) fn to_text(&self) -> String {
        let lines = self
            .memory
            .iter()
            .map(|(name, value)| format!("{name} {value:?}\n"));
        lines.collect()
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.memory.get(name).copied()
    }

    fn set(&mut self, name: &str, value: f64) {
        self.memory.insert(name.to_owned(), value);
    }

    /// Looks at step number `step`, counted from 1.
    pub(super) fn step(
        &mut self,
        step: u64,
        terms: &Terms,
        verdict: Option<Verdict>,
    ) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Some(verdict) = verdict {
            warnings.extend(self.verdict(verdict));
        }
        for (name, value) in terms.iter() {
            warnings.extend(self.loss(step, name, value));
        }
        warnings
    }

    fn verdict(&mut self, verdict: Verdict) -> Vec<Warning> {
        let window = self.plan.window as f64;
        let count = (self.get("verdicts").unwrap_or(0.0) + 1.0).min(window);
        self.set("verdicts", count);
        let mut mean = |name: &str, value: f64| {
            let before = self.memory.get(name).copied().unwrap_or(value);
            let now = before + (value - before) / count;
            self.memory.insert(name.to_owned(), now);
            now
        };
        let (real, fake) = (mean("real", verdict.real), mean("fake", verdict.fake));
        if count < window {
            return Vec::new();
        }
        let worse = real.min(fake);
        let WatchPlan {
            saturated, fooled, ..
        } = self.plan;
        let saturation = self.raise(Alarm::Saturated, "", worse > saturated, || Warning {
            alarm: Alarm::Saturated,
            message: format!(
                "the discriminator recognises {:.1} % of real and {:.1} % of made pictures: the \
                 generator learns little from it; lower its learning rate, or give it spectral \
                 normalisation or a gradient penalty",
                real * 100.0,
                fake * 100.0
            ),
            value: worse,
            bound: saturated,
        });
        let victory = self.raise(Alarm::Fooled, "", fake < fooled, || Warning {
            alarm: Alarm::Fooled,
            message: format!(
                "the discriminator recognises {:.1} % of made pictures: the generator learns \
                 nothing from it; raise its learning rate or its number of steps",
                fake * 100.0
            ),
            value: fake,
            bound: fooled,
        });
        saturation.into_iter().chain(victory).collect()
    }

    /// Compares the mean size of a loss over each window with the largest one before it.
    fn loss(&mut self, step: u64, name: &str, value: f64) -> Option<Warning> {
        let key = |what: &str| format!("loss {name} {what}");
        let sum = self.get(&key("sum")).unwrap_or(0.0) + value.abs();
        let count = self.get(&key("count")).unwrap_or(0.0) + 1.0;
        let first = step <= FIRST;
        let block = if first { FIRST } else { self.plan.window } as f64;
        if count < block {
            self.set(&key("sum"), sum);
            self.set(&key("count"), count);
            return None;
        }
        self.set(&key("sum"), 0.0);
        self.set(&key("count"), 0.0);
        let mean = sum / count;
        let level = self.get(&key("level")).unwrap_or(0.0);
        self.set(&key("level"), level.max(mean));
        let bound = level * self.plan.diverged;
        let beyond = level > 0.0 && mean > bound;
        self.raise(Alarm::LossDiverged, name, beyond, || Warning {
            alarm: Alarm::LossDiverged,
            message: format!(
                "the loss `{name}` is {mean:.3} on average and was {level:.3} at most: it \
                 diverges; lower the learning rates, or clip the gradients"
            ),
            value: mean,
            bound,
        })
    }

    /// Whether weights are to be looked at after this step.
    pub(super) fn wants_weights(&self, step: u64) -> bool {
        step.is_multiple_of(self.plan.window) || step == 0
    }

    /// Compares the size of each network's weights with that at the beginning.
    ///
    /// # Errors
    /// `oom` when the device has no memory.
    pub(super) fn weights(&mut self, state: &State) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        for (network, _) in super::plan::networks_of(state) {
            let prefix = format!("{network}.weights.");
            let counts = |name: &str| name.starts_with(&prefix) && !name.contains("running_");
            let norm = state.norm(counts)?;
            let key = format!("norm {network}");
            let Some(begun) = self.get(&key) else {
                self.set(&key, norm);
                continue;
            };
            let before = self.get(&format!("before {network}")).unwrap_or(begun);
            self.set(&format!("before {network}"), norm);
            let leap = before * self.plan.leapt;
            let leapt = self.raise(Alarm::WeightsLeapt, &network, norm > leap, || Warning {
                alarm: Alarm::WeightsLeapt,
                message: format!(
                    "the weights of `{network}` have grown from {before:.3} to {norm:.3} within \
                     one window: the learning rate is far too large"
                ),
                value: norm,
                bound: leap,
            });
            warnings.extend(leapt);
            let bound = begun * self.plan.grown;
            let warning = self.raise(Alarm::WeightsDiverged, &network, norm > bound, || Warning {
                alarm: Alarm::WeightsDiverged,
                message: format!(
                    "the weights of `{network}` have grown from {begun:.3} to {norm:.3}: they \
                     diverge; lower the learning rates, or clip the gradients"
                ),
                value: norm,
                bound,
            });
            warnings.extend(warning);
        }
        Ok(warnings)
    }

    /// Warns when something begins to be the case, and not again as long as it is.
    pub(super) fn raise(
        &mut self,
        alarm: Alarm,
        of: &str,
        is: bool,
        warning: impl FnOnce() -> Warning,
    ) -> Option<Warning> {
        let key = format!("raised {} {of}", alarm.as_str());
        let was = self.get(&key).unwrap_or(0.0) > 0.0;
        self.set(&key, f64::from(u8::from(is)));
        (is && !was).then(warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::compile_training;

    fn plan(window: u64) -> WatchPlan {
        let text = format!(
            "name = \"x\"\nsteps = 1\nbatch = 1\n[data]\nfrom.folder.path = \"p\"\n\
             [train.noise]\n[watch]\nwindow = {window}\n"
        );
        compile_training(&text).unwrap().watch
    }

    fn terms(values: &[(&'static str, f64)]) -> Terms {
        let mut terms = Terms::default();
        for &(name, value) in values {
            terms.note_number(name, value).unwrap();
        }
        terms
    }

    fn alarms(warnings: &[Warning]) -> Vec<Alarm> {
        warnings.iter().map(|warning| warning.alarm).collect()
    }

    #[test]
    fn saturation_is_told_once_and_again_after_it_has_passed() {
        let mut watch = Watch::new(&plan(20));
        let mut told = Vec::new();
        for step in 1..=400_u64 {
            let sure = if (150..250).contains(&step) { 0.5 } else { 1.0 };
            let verdict = Verdict {
                real: sure,
                fake: sure,
            };
            for warning in watch.step(step, &terms(&[]), Some(verdict)) {
                told.push((step, warning.alarm));
            }
        }
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], (20, Alarm::Saturated));
        assert!((250..400).contains(&told[1].0), "{told:?}");
    }

    #[test]
    fn a_generator_that_wins_is_told() {
        let mut watch = Watch::new(&plan(20));
        let mut told = Vec::new();
        for step in 1..=60 {
            let verdict = Verdict {
                real: 1.0,
                fake: 0.0,
            };
            told.extend(watch.step(step, &terms(&[]), Some(verdict)));
        }
        assert_eq!(alarms(&told), [Alarm::Fooled]);
    }

    #[test]
    fn losses_may_wander_and_not_explode() {
        let run = |loss: &dyn Fn(u64) -> f64| {
            let mut watch = Watch::new(&plan(20));
            let mut told = Vec::new();
            for step in 1..=500 {
                told.extend(watch.step(step, &terms(&[("g", loss(step))]), None));
            }
            alarms(&told)
        };
        // Up and down, and slowly up as a critic's.
        let healthy = run(&|step| 1.0 + (step as f64 / 7.0).sin() + step as f64 / 100.0);
        assert!(healthy.is_empty(), "{healthy:?}");
        let exploding = run(&|step| 0.7 * 1.3_f64.powi((step as i32 - 100).clamp(0, 300)));
        assert_eq!(exploding[0], Alarm::LossDiverged);
    }

    #[test]
    fn what_is_remembered_comes_back_to_the_bit() {
        let mut watch = Watch::new(&plan(20));
        for step in 1..=33_u64 {
            let verdict = Verdict {
                real: 1.0 / step as f64,
                fake: 0.3,
            };
            watch.step(step, &terms(&[("d", 0.1), ("g", 1.0 / 3.0)]), Some(verdict));
        }
        let again = Watch::from_text(&plan(20), &watch.to_text()).unwrap();
        assert_eq!(again.memory, watch.memory);
        assert!(Watch::from_text(&plan(20), "half a li").is_err());
    }
}
