//! How networks learn, as a training file says it: rates, optimisers, schedules, averages.

use fonds_core::{Code, Error};
use fonds_nn::train::{Initialization, Lesson, OptimizerConfig, Rule, Schedule};

use super::spec::{MOST_STEPS, tagged, within};
use crate::reader::Args;

/// What the file says of a learner; what it leaves out comes from elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Learning {
    rate: Option<f64>,
    weight_decay: Option<f64>,
    rule: Option<Rule>,
    schedule: Option<Schedule>,
    clip: Option<f64>,
    average: Option<f64>,
    initialization: Option<Initialization>,
}

impl Learning {
    /// Reads a table.
    pub(super) fn read(mut args: Args<'_, '_>) -> Self {
        let positive = |args: &mut Args<'_, '_>, key| {
            let place = args.place(key);
            let value: Option<f64> = args.value(key);
            if let (Some(found), Some(place)) = (value, place)
                && !(found > 0.0 && found.is_finite())
            {
                let message = format!("`{key}` is {found}, and must be above 0");
                args.report(place, Error::new(Code::InvalidRequest, message));
                return None;
            }
            value
        };
        let average = args
            .has("average")
            .then(|| within(&mut args, "average", 0.0..=0.999_999_9, 0.999));
        let learning = Self {
            rate: positive(&mut args, "rate"),
            clip: positive(&mut args, "clip"),
            weight_decay: positive(&mut args, "weight_decay"),
            rule: tagged(&mut args, "optimizer", &["adam", "sgd", "rmsprop"])
                .map(|(kind, args)| rule(&kind.value, args)),
            schedule: tagged(
                &mut args,
                "schedule",
                &["constant", "linear", "steps", "cosine"],
            )
            .map(|(kind, args)| schedule(&kind.value, args)),
            average,
            initialization: tagged(
                &mut args,
                "initialization",
                &["pytorch", "normal", "kaiming", "xavier"],
            )
            .map(|(kind, args)| initialization(&kind.value, args)),
        };
        args.finish();
        learning
    }

    /// What this leaves open, the other one says.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            rate: self.rate.or(other.rate),
            weight_decay: self.weight_decay.or(other.weight_decay),
            rule: self.rule.or(other.rule),
            schedule: self.schedule.or_else(|| other.schedule.clone()),
            clip: self.clip.or(other.clip),
            average: self.average.or(other.average),
            initialization: self.initialization.or(other.initialization),
        }
    }

    /// The lesson, beginning with a trainer's own.
    pub(super) fn lesson(self, default: Lesson) -> Lesson {
        let optimizer = default.optimizer;
        Lesson {
            initialization: self.initialization.unwrap_or(default.initialization),
            optimizer: OptimizerConfig {
                rule: self.rule.unwrap_or(optimizer.rule),
                learning_rate: self.rate.unwrap_or(optimizer.learning_rate),
                weight_decay: self.weight_decay.unwrap_or(optimizer.weight_decay),
            },
            schedule: self.schedule.unwrap_or(default.schedule),
            clip: self.clip.or(default.clip),
            average: self.average.or(default.average),
            numbers: default.numbers,
        }
    }
}

/// `learning`, and what `generator_learning` and `discriminator_learning` say beyond it.
pub(super) fn both(args: &mut Args<'_, '_>) -> [Learning; 2] {
    let common = Learning::read(args.table("learning"));
    let generator = Learning::read(args.table("generator_learning"));
    let discriminator = Learning::read(args.table("discriminator_learning"));
    [generator.or(&common), discriminator.or(&common)]
}

fn rule(kind: &str, mut args: Args<'_, '_>) -> Rule {
    let rule = match kind {
        "sgd" => Rule::Sgd {
            momentum: within(&mut args, "momentum", 0.0..=0.999_999, 0.0),
        },
        "rmsprop" => Rule::RmsProp {
            decay: within(&mut args, "decay", 0.0..=0.999_999, 0.99),
            epsilon: within(&mut args, "epsilon", 1e-16..=1.0, 1e-8),
        },
        _ => Rule::Adam {
            betas: betas(&mut args),
            epsilon: within(&mut args, "epsilon", 1e-16..=1.0, 1e-8),
            decoupled: args.value("decoupled").unwrap_or_default(),
        },
    };
    args.finish();
    rule
}

fn betas(args: &mut Args<'_, '_>) -> (f64, f64) {
    const USUAL: (f64, f64) = (0.5, 0.999);
    let Some(at) = args.take::<(f64, f64)>("betas") else {
        return USUAL;
    };
    let share = |beta: f64| (0.0..1.0).contains(&beta);
    if share(at.value.0) && share(at.value.1) {
        return at.value;
    }
    let message = format!("`betas` are shares from 0 to below 1, found {:?}", at.value);
    args.report(at.offset, Error::new(Code::InvalidRequest, message));
    USUAL
}

fn schedule(kind: &str, mut args: Args<'_, '_>) -> Schedule {
    let schedule = match kind {
        "linear" => Schedule::LinearDecay {
            hold: within(&mut args, "hold", 0..=MOST_STEPS, 0),
            decay: within(&mut args, "decay", 1..=MOST_STEPS, 1),
        },
        "steps" => Schedule::Steps {
            at: args.value("at").unwrap_or_default(),
            factor: within(&mut args, "factor", 0.0..=1.0, 0.5),
        },
        "cosine" => Schedule::Cosine {
            period: within(&mut args, "period", 1..=MOST_STEPS, 1),
            floor: within(&mut args, "floor", 0.0..=1.0, 0.0),
        },
        _ => Schedule::Constant,
    };
    args.finish();
    schedule
}

fn initialization(kind: &str, mut args: Args<'_, '_>) -> Initialization {
    let initialization = match kind {
        "normal" => Initialization::Normal {
            deviation: within(&mut args, "deviation", 1e-9..=10.0, 0.02),
        },
        "kaiming" => Initialization::Kaiming {
            scale: within(&mut args, "scale", 1e-9..=10.0, 1.0),
        },
        "xavier" => Initialization::Xavier,
        _ => Initialization::PyTorch,
    };
    args.finish();
    initialization
}
