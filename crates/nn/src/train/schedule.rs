//! How the learning rate changes over the steps of a training run.

use std::f64::consts::PI;

/// A factor on the learning rate at each step.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// 1 for `hold` steps, then in a straight line to 0 over `decay` steps (`CycleGAN`, pix2pix).
    LinearDecay {
        /// Steps at 1.
        hold: u64,
        /// Steps from 1 to 0.
        decay: u64,
    },
    /// Multiplied by `factor` at each of these steps (ESRGAN).
    Steps {
        /// When.
        at: Vec<u64>,
        /// By what.
        factor: f64,
    },
    /// Half a period of a cosine from 1 to `floor`, over and over (Loshchilov and Hutter 2017).
    Cosine {
        /// Steps of a half period.
        period: u64,
        /// The least factor.
        floor: f64,
    },
}

impl Schedule {
    /// The factor for a step, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::LinearDecay { hold, decay } => {
                let past = step.saturating_sub(*hold) as f64;
                (1.0 - past / (*decay).max(1) as f64).max(0.0)
            }
            Self::Steps { at, factor } => {
                let passed = at.iter().filter(|&&at| step >= at).count();
                factor.powi(passed as i32)
            }
            Self::Cosine { period, floor } => {
                let along = (step % (*period).max(1)) as f64 / (*period).max(1) as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * along).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_the_turning_points() {
        let linear = Schedule::LinearDecay {
            hold: 100,
            decay: 50,
        };
        let steps = Schedule::Steps {
            at: vec![10, 20],
            factor: 0.5,
        };
        let cosine = Schedule::Cosine {
            period: 100,
            floor: 0.1,
        };
        let cases = [
            (&Schedule::Constant, 7, 1.0),
            (&linear, 0, 1.0),
            (&linear, 100, 1.0),
            (&linear, 125, 0.5),
            (&linear, 1000, 0.0),
            (&steps, 9, 1.0),
            (&steps, 10, 0.5),
            (&steps, 20, 0.25),
            (&cosine, 0, 1.0),
            (&cosine, 50, 0.55),
            (&cosine, 100, 1.0),
        ];
        for (schedule, step, expected) in cases {
            let found = schedule.factor(step);
            assert!(
                (found - expected).abs() < 1e-12,
                "{schedule:?} at {step}: {found}"
            );
        }
    }
}
