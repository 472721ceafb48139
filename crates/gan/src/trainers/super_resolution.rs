//! SRGAN, ESRGAN, Real-ESRGAN: first fidelity to the pixels, then, when wanted, a discriminator and
//! features as well. With the same size in and out it trains restoration.
//!
//! Ledig et al. 2017, arXiv:1609.04802; Wang et al. 2018, arXiv:1809.00219; Wang et al. 2021,
//! arXiv:2107.10833.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result, Seed};
use fonds_nn::error::TensorResult;
use fonds_nn::loss::{Perceptual, PixelLoss, total_variation, weighted};
use fonds_nn::network::{Enlargement, Extra, Network};
use fonds_nn::train::{
    Batch, Export, Learner, Lesson, Make, State, Terms, Trainer, Verdict, export, for_use, forward,
    from_range, into_range, rows, translate,
};
use fonds_nn::weights::Tensors;
use fonds_nn::{Backend, load};

use super::judge::{Judge, look, make};
use crate::models::noise::Discriminator;
use crate::objectives::Objective;

/// What the generator is held to besides the game.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// How differences of pixels count.
    pub pixels: PixelLoss,
    /// What they count in the second phase; in the first they are all there is.
    pub pixel_weight: f64,
    /// Differences of features, and what they count, in the second phase.
    pub perceptual: Option<(Perceptual, f64)>,
    /// What unsteadiness of the result counts, in the second phase; 0 for nothing.
    pub variation_weight: f64,
}

/// The second phase.
#[derive(Debug, Clone)]
pub struct Adversarial {
    /// The discriminator.
    pub discriminator: Judge,
    /// The game: relativistic for ESRGAN, non-saturating for Real-ESRGAN.
    pub objective: Objective,
    /// What it counts for the generator: 5e-3 in ESRGAN, 0.1 in Real-ESRGAN.
    pub weight: f64,
    /// How the discriminator learns.
    pub lesson: Lesson,
    /// Steps of the first phase.
    pub begins: u64,
}

/// Who learns, and how.
#[derive(Clone)]
pub struct SuperResolutionSetup {
    /// What the generator is called.
    pub name: &'static str,
    /// Builds the generator for training.
    pub generator: Make<dyn Network>,
    /// Builds it to be used; the same where nothing depends on the batch.
    pub for_use: Make<dyn Network>,
    /// How it learns.
    pub lesson: Lesson,
    /// What it is held to.
    pub supervision: Supervision,
    /// The second phase, if there is to be one.
    pub adversarial: Option<Adversarial>,
}

impl fmt::Debug for SuperResolutionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuperResolutionSetup")
            .field("name", &self.name)
            .field("lesson", &self.lesson)
            .field("supervision", &self.supervision)
            .field("adversarial", &self.adversarial)
            .finish_non_exhaustive()
    }
}

/// Trains a generator on pairs of a picture and what it should be.
#[derive(Debug)]
pub struct SuperResolution {
    setup: SuperResolutionSetup,
    generator: Learner<dyn Network>,
    discriminator: Option<Learner<dyn Discriminator>>,
    verdict: Option<Verdict>,
}

impl SuperResolution {
    /// The networks with made-up weights; `at` gives the numbers of weights and where they are.
    ///
    /// # Errors
    /// `invalid_request` when the generator needs more than a picture.
    pub fn new(setup: SuperResolutionSetup, seed: Seed, at: (DType, &Device)) -> Result<Self> {
        let lesson = setup.lesson.clone();
        let made = setup.generator.clone();
        let generator = Learner::new("generator", made, lesson, seed, at)?;
        let interface = generator.frozen()?.interface();
        if interface.enlargement == Enlargement::Before || interface.extra != Extra::None {
            let message = format!("{} cannot be trained here", setup.name);
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error
                .hint("choose a generator that enlarges by itself and reads the picture alone"));
        }
        let discriminator = match &setup.adversarial {
            Some(game) => {
                let channels = interface.picture_channels();
                if game.discriminator.channels() != channels {
                    let message = format!(
                        "the discriminator judges {} channels and the generator makes {channels}",
                        game.discriminator.channels()
                    );
                    return Err(Error::new(Code::InvalidRequest, message));
                }
                let judge = make(&game.discriminator);
                let lesson = game.lesson.clone();
                Some(Learner::new("discriminator", judge, lesson, seed, at)?)
            }
            None => None,
        };
        Ok(Self {
            setup,
            generator,
            discriminator,
            verdict: None,
        })
    }

    /// Begins with a checkpoint's weights for the generator, as ESRGAN begins with a network trained
    /// for fidelity.
    ///
    /// # Errors
    /// As [`Learner::load`].
    pub fn begin_with(&mut self, tensors: &Tensors) -> Result<()> {
        self.generator.load(tensors, |_| false)
    }

    /// The generator, for tests and tools.
    pub fn generator(&self) -> &Learner<dyn Network> {
        &self.generator
    }

    /// The discriminator, for tests and tools.
    pub fn discriminator(&self) -> Option<&Learner<dyn Discriminator>> {
        self.discriminator.as_ref()
    }

    /// The game, when it has begun at this step.
    fn game(&self, step: u64) -> Option<(&Adversarial, &Learner<dyn Discriminator>)> {
        let game = self.setup.adversarial.as_ref();
        let game = game.filter(|game| step >= game.begins)?;
        Some((game, self.discriminator.as_ref()?))
    }

    /// The loss of what was made, with its terms. The terms of the game are 0 before it begins, so
    /// that every step reports the same.
    fn loss(
        &self,
        (made, target): (&Tensor, &Tensor),
        terms: &mut Terms,
        step: u64,
    ) -> Result<Tensor> {
        let supervision = &self.setup.supervision;
        let pixels = supervision.pixels.between(made, target)?;
        let game = self.game(step);
        let late = game.is_some() || self.setup.adversarial.is_none();
        let scaled = |loss: Tensor, weight: f64| (loss * weight).in_network();
        let mut parts = Vec::new();
        let mut add = |name, loss: Option<Tensor>| {
            match loss {
                Some(loss) => {
                    terms.note(name, &loss)?;
                    parts.push((1.0, loss));
                }
                None => terms.note_number(name, 0.0)?,
            }
            Ok::<_, Error>(())
        };
        let weight = if late { supervision.pixel_weight } else { 1.0 };
        add("pixel", Some(scaled(pixels, weight)?))?;
        if let Some((perceptual, weight)) = &supervision.perceptual {
            let loss = late.then(|| scaled(perceptual.between(made, target)?, *weight));
            add("perceptual", loss.transpose()?)?;
        }
        if supervision.variation_weight > 0.0 {
            let loss = late.then(|| scaled(total_variation(made)?, supervision.variation_weight));
            add("variation", loss.transpose()?)?;
        }
        if self.setup.adversarial.is_some() {
            let loss = game.map(|(game, judge)| {
                let network = judge.frozen()?;
                let of_made = look(judge, &*network, made, None)?;
                let of_real = if game.objective.needs_real() {
                    Some(look(judge, &*network, target, None)?)
                } else {
                    None
                };
                let loss = game.objective.generator(&of_made, of_real.as_ref())?;
                scaled(loss, game.weight)
            });
            add("g_gan", loss.transpose()?)?;
        }
        weighted(&parts)?.ok_or_else(|| Error::new(Code::Internal, "a step without a loss"))
    }

    fn teach_discriminator(
        &mut self,
        made: &Tensor,
        target: &Tensor,
        terms: &mut Terms,
        step: u64,
    ) -> Result<()> {
        let Some(game) = &self.setup.adversarial else {
            return Ok(());
        };
        let (Some(judge), true) = (&mut self.discriminator, step >= game.begins) else {
            terms.note_number("d_real", 0.0)?;
            return terms.note_number("d_fake", 0.0);
        };
        let network = judge.live()?;
        let of_real = look(judge, &*network, target, None)?;
        let of_fake = look(judge, &*network, &made.detach(), None)?;
        let loss = game.objective.critic(&of_real, &of_fake)?;
        terms.note("d_real", &loss.real)?;
        terms.note("d_fake", &loss.fake)?;
        self.verdict = game.objective.verdict(&of_real, &of_fake)?;
        let mut gradients = loss.sum()?.backward().in_network()?;
        judge.learn(&mut gradients, step)?;
        Ok(())
    }

    /// What the trained generator makes of pictures from 0 to 1.
    fn restored(&self, pictures: &Tensor) -> Result<Tensor> {
        let backend = for_use(self.generator.parameters().device());
        let network = self.finished(&backend)?;
        translate(&*network, &backend, pictures)
    }

    fn finished(&self, backend: &Backend) -> Result<Box<dyn Network>> {
        let tensors = self.generator.best()?;
        let make = &self.setup.for_use;
        load::load(self.setup.name, &tensors, backend, |_| false, |vb| make(vb))
    }
}

impl Trainer for SuperResolution {
    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms> {
        let parameters = self.generator.parameters();
        let batch = batch.to(parameters.dtype(), parameters.device())?;
        let network = self.generator.live()?;
        let interface = network.interface();
        let source = into_range(batch.kind(0)?, interface.input)?;
        let target = batch.kind(1)?;
        let made = forward(&self.generator, &*network, &source)?;
        let made = from_range(&made, interface.output)?;
        if made.dims() != target.dims() {
            let message = format!(
                "{} made {:?} of {:?}, and the target is {:?}",
                self.setup.name,
                made.dims(),
                source.dims(),
                target.dims()
            );
            let error = Error::new(Code::InvalidRequest, message);
            return Err(
                error.hint("give pairs whose sizes have the generator's scale between them")
            );
        }
        let mut terms = Terms::default();
        let loss = self.loss((&made, target), &mut terms, step)?;
        let mut gradients = loss.backward().in_network()?;
        self.generator.learn(&mut gradients, step)?;
        self.teach_discriminator(&made, target, &mut terms, step)?;
        Ok(terms)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Each row: the source, what is made of it, the target.
    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>> {
        let (source, target) = (fixed.kind(0)?, fixed.kind(1)?);
        let made = self.restored(source)?;
        let (_, _, height, width) = target.dims4().in_network()?;
        let enlarged = source.upsample_nearest2d(height, width).in_network()?;
        rows(&[&enlarged, &made, target])
    }

    fn make(&self, batch: &Batch, _: u64) -> Result<Tensor> {
        self.restored(batch.kind(0)?)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        state.nest("generator", self.generator.state()?);
        if let Some(judge) = &self.discriminator {
            state.nest("discriminator", judge.state()?);
        }
        Ok(state)
    }

    fn restore(&mut self, mut state: State) -> Result<()> {
        self.generator.restore(state.take("generator"))?;
        match &mut self.discriminator {
            Some(judge) => judge.restore(state.take("discriminator")),
            None => Ok(()),
        }
    }

    fn exports(&self) -> Result<Vec<Export>> {
        Ok(vec![export("generator", self.setup.name, &self.generator)?])
    }
}
