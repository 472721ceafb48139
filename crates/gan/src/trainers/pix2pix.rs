//! pix2pix: pairs of pictures teach a generator to make the one of the other.
//!
//! Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks* (2017),
//! arXiv:1611.07004.

use std::sync::PoisonError;

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result, Seed};
use fonds_nn::error::TensorResult;
use fonds_nn::loss::{PixelLoss, weighted};
use fonds_nn::network::Network;
use fonds_nn::train::{
    Batch, Chance, Export, Learner, Lesson, State, Terms, Trainer, Verdict, export, for_use,
    forward, into_range, rows, translate,
};

use super::judge::{Judge, look, make};
use super::translator::{Translator, dropout};
use super::{pair_state, restore_pair};
use crate::models::noise::Discriminator;
use crate::models::pix2pix_unet::Dropout;
use crate::objectives::Objective;

/// Who plays, and how.
#[derive(Debug, Clone)]
pub struct Pix2PixSetup {
    /// The generator.
    pub generator: Translator,
    /// The discriminator of source and picture, one after the other in its channels.
    pub discriminator: Judge,
    /// The game; the paper's is [`Objective::NonSaturating`].
    pub objective: Objective,
    /// What the mean absolute difference to the target counts; the paper's is 100.
    pub pixel_weight: f64,
    /// Whether deep values are dropped by chance, as in the paper.
    pub dropout: bool,
    /// How the generator learns.
    pub generator_lesson: Lesson,
    /// How the discriminator learns.
    pub discriminator_lesson: Lesson,
}

impl Pix2PixSetup {
    /// That the networks fit each other.
    ///
    /// # Errors
    /// `invalid_request` that says what does not fit.
    pub fn validate(&self) -> Result<()> {
        let [inner, outer] = self.generator.channels();
        if self.discriminator.channels() == inner + outer {
            return Ok(());
        }
        let message = format!(
            "the discriminator judges {} channels, and a source and what is made of it have {}",
            self.discriminator.channels(),
            inner + outer
        );
        Err(Error::new(Code::InvalidRequest, message)
            .hint("give it as many channels as source and target have together"))
    }
}

/// Trains a generator on pairs, and a discriminator against it.
#[derive(Debug)]
pub struct Pix2Pix {
    setup: Pix2PixSetup,
    generator: Learner<dyn Network>,
    discriminator: Learner<dyn Discriminator>,
    dropout: Dropout,
    seed: Seed,
    verdict: Option<Verdict>,
}

impl Pix2Pix {
    /// Both networks with made-up weights; `at` gives the numbers of weights and where they are.
    ///
    /// # Errors
    /// `invalid_request` when the setup does not fit.
    pub fn new(setup: Pix2PixSetup, seed: Seed, at: (DType, &Device)) -> Result<Self> {
        setup.validate()?;
        let dropout = dropout(seed);
        let made = setup.generator.make(setup.dropout.then_some(&dropout));
        let lesson = setup.generator_lesson.clone();
        let generator = Learner::new("generator", made, lesson, seed, at)?;
        let lesson = setup.discriminator_lesson.clone();
        let judge = make(&setup.discriminator);
        let discriminator = Learner::new("discriminator", judge, lesson, seed, at)?;
        Ok(Self {
            setup,
            generator,
            discriminator,
            dropout,
            seed,
            verdict: None,
        })
    }

    /// The learners, for tests and tools: generator and discriminator.
    pub fn learners(&self) -> (&Learner<dyn Network>, &Learner<dyn Discriminator>) {
        (&self.generator, &self.discriminator)
    }

    /// The learners, to load weights into.
    pub fn learners_mut(&mut self) -> (&mut Learner<dyn Network>, &mut Learner<dyn Discriminator>) {
        (&mut self.generator, &mut self.discriminator)
    }

    fn teach_discriminator(
        &mut self,
        source: &Tensor,
        target: &Tensor,
        fake: &Tensor,
        terms: &mut Terms,
        step: u64,
    ) -> Result<()> {
        let network = self.discriminator.live()?;
        let judge = |picture: &Tensor| {
            look(
                &self.discriminator,
                &*network,
                &beside(source, picture)?,
                None,
            )
        };
        let of_fake = judge(&fake.detach())?;
        let of_real = judge(target)?;
        let loss = self.setup.objective.critic(&of_real, &of_fake)?.sum()?;
        // Half the pace of the generator, as in the paper.
        let loss = (loss * 0.5).in_network()?;
        terms.note("d", &loss)?;
        self.verdict = self.setup.objective.verdict(&of_real, &of_fake)?;
        let mut gradients = loss.backward().in_network()?;
        self.discriminator.learn(&mut gradients, step)?;
        Ok(())
    }

    /// What the trained generator makes of sources from 0 to 1.
    fn translated(&self, sources: &Tensor) -> Result<Tensor> {
        let backend = for_use(self.generator.parameters().device());
        let network = self
            .setup
            .generator
            .load(&self.generator.best()?, &backend)?;
        translate(&*network, &backend, sources)
    }
}

/// Channels of source and picture, one after the other.
fn beside(source: &Tensor, picture: &Tensor) -> Result<Tensor> {
    Tensor::cat(&[source, picture], 1).in_network()
}

impl Trainer for Pix2Pix {
    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms> {
        let parameters = self.generator.parameters();
        let batch = batch.to(parameters.dtype(), parameters.device())?;
        let range = self.setup.generator.range();
        let source = into_range(batch.kind(0)?, range)?;
        let target = into_range(batch.kind(1)?, range)?;
        *self.dropout.lock().unwrap_or_else(PoisonError::into_inner) =
            Chance::at(self.seed, "dropout", step);
        let fake = forward(&self.generator, &*self.generator.live()?, &source)?;
        let mut terms = Terms::default();
        self.teach_discriminator(&source, &target, &fake, &mut terms, step)?;

        let network = self.discriminator.frozen()?;
        let judge = |picture: &Tensor| {
            look(
                &self.discriminator,
                &*network,
                &beside(&source, picture)?,
                None,
            )
        };
        let of_fake = judge(&fake)?;
        let of_real = if self.setup.objective.needs_real() {
            Some(judge(&target)?)
        } else {
            None
        };
        let game = self.setup.objective.generator(&of_fake, of_real.as_ref())?;
        let pixels = PixelLoss::Absolute.between(&fake, &target)?;
        let pixels = (pixels * self.setup.pixel_weight).in_network()?;
        terms.note("g_gan", &game)?;
        terms.note("g_l1", &pixels)?;
        let Some(loss) = weighted(&[(1.0, game), (1.0, pixels)])? else {
            return Err(Error::new(Code::Internal, "a step without a loss"));
        };
        let mut gradients = loss.backward().in_network()?;
        self.generator.learn(&mut gradients, step)?;
        Ok(terms)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>> {
        let made = self.translated(fixed.kind(0)?)?;
        rows(&[fixed.kind(0)?, &made, fixed.kind(1)?])
    }

    fn make(&self, batch: &Batch, _: u64) -> Result<Tensor> {
        self.translated(batch.kind(0)?)
    }

    fn state(&self) -> Result<State> {
        pair_state(&self.generator, &self.discriminator)
    }

    fn restore(&mut self, state: State) -> Result<()> {
        restore_pair(&mut self.generator, &mut self.discriminator, state)
    }

    fn exports(&self) -> Result<Vec<Export>> {
        let what = self.setup.generator.name();
        Ok(vec![export("generator", what, &self.generator)?])
    }
}
