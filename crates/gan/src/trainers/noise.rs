//! From noise to pictures: vanilla GANs, DCGAN, WGAN, WGAN-GP, conditional ones.
//!
//! Goodfellow et al. 2014, arXiv:1406.2661; Radford et al. 2016, arXiv:1511.06434; Arjovsky et al.
//! 2017, arXiv:1701.07875; Gulrajani et al. 2017, arXiv:1704.00028; Mirza and Osindero 2014,
//! arXiv:1411.1784.

use candle_core::{Device, Tensor};
use fonds_core::{Code, Error, Result, Seed};
use fonds_nn::error::TensorResult;
use fonds_nn::layers::BatchNormMode;
use fonds_nn::network::Range;
use fonds_nn::train::{
    Batch, Chance, Export, Learner, Lesson, State, Terms, Trainer, Verdict, check_second_order,
    export, for_use, from_range, into_range, shown,
};
use fonds_nn::weights::Tensors;
use fonds_nn::{Act, Backend, VarBuilder, load};

use super::judge::{Judge, look, make};
use super::{maker, pair_state, restore_pair};
use crate::models::noise::{Discriminator, NoiseGenerator};
use crate::models::{dcgan, resnet_gan};
use crate::objectives::{Objective, gradient_penalty, r1_penalty};

/// A generator from noise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoiseSource {
    /// Transposed convolutions.
    Dcgan(dcgan::GeneratorConfig),
    /// Residual blocks.
    ResNet(resnet_gan::Config),
}

impl NoiseSource {
    /// The network from weights.
    ///
    /// # Errors
    /// `model_error` when the configuration is none.
    pub fn build(
        &self,
        mode: BatchNormMode,
        vb: VarBuilder<'static>,
    ) -> Result<Box<dyn NoiseGenerator>> {
        Ok(match self {
            Self::Dcgan(config) => Box::new(dcgan::Generator::new(config, mode, vb)?),
            Self::ResNet(config) => Box::new(resnet_gan::ResNetGenerator::new(config, mode, vb)?),
        })
    }

    /// The network from a checkpoint's tensors, to be used.
    ///
    /// # Errors
    /// As [`load::load`].
    pub fn load(&self, tensors: &Tensors, backend: &Backend) -> Result<Box<dyn NoiseGenerator>> {
        let what = "the generator";
        load::load(what, tensors, backend, dcgan::ignore, |vb| {
            self.build(BatchNormMode::Running, vb)
        })
    }

    /// What a checkpoint's keys and shapes show, when they are those of such a generator.
    pub fn recognize(tensors: &Tensors) -> Option<Self> {
        let dcgan = dcgan::GeneratorConfig::recognize(tensors).map(Self::Dcgan);
        dcgan.or_else(|| resnet_gan::Config::recognize(tensors).map(Self::ResNet))
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dcgan(_) => "DCGAN generator",
            Self::ResNet(_) => "residual generator",
        }
    }

    /// Values of its noise and of its condition; channels and side of its pictures.
    fn shape(&self) -> [usize; 4] {
        match self {
            Self::Dcgan(c) => [c.latent, c.conditions, c.channels, c.size],
            Self::ResNet(c) => [c.latent, c.conditions, c.channels, c.size],
        }
    }
}

/// What keeps a critic's gradients in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Penalty {
    /// Nothing.
    #[default]
    None,
    /// The gradient penalty of WGAN-GP; the paper's weight is 10.
    Gradient {
        /// A factor.
        weight: f64,
    },
    /// R1, at every n-th step, times n.
    R1 {
        /// `γ`; usually 10.
        gamma: f64,
        /// Steps from one to the next.
        every: u64,
    },
    /// All weights are cut to ±`limit` after each step of the critic (WGAN; the paper's is 0.01).
    Clip {
        /// The largest weight.
        limit: f64,
    },
}

/// Who plays, and how.
#[derive(Debug, Clone)]
pub struct NoiseSetup {
    /// The generator.
    pub generator: NoiseSource,
    /// The discriminator or critic.
    pub discriminator: Judge,
    /// The game.
    pub objective: Objective,
    /// Steps of the discriminator for one of the generator.
    pub critic_steps: usize,
    /// What keeps the critic's gradients in bounds.
    pub penalty: Penalty,
    /// How the generator learns.
    pub generator_lesson: Lesson,
    /// How the discriminator learns.
    pub discriminator_lesson: Lesson,
}

impl NoiseSetup {
    /// That the networks fit each other and the game.
    ///
    /// # Errors
    /// `invalid_request` that says what does not fit.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |message: String, hint: &str| Err(Error::new(Code::InvalidRequest, message).hint(hint));
        let [_, conditions, channels, size] = self.generator.shape();
        let judged = match &self.discriminator {
            Judge::Dcgan(c) => Some((c.conditions, c.size)),
            Judge::ResNet(c) => Some((c.conditions, c.size)),
            Judge::Patch(_) | Judge::Pixel(_) | Judge::Unet(_) => None,
        };
        if self.discriminator.channels() != channels
            || judged.is_some_and(|judged| judged != (conditions, size))
            || (judged.is_none() && conditions > 0)
        {
            let message = format!(
                "the generator makes pictures of {channels} channels and {size} pixels from \
                 {conditions} conditions, and the discriminator judges others"
            );
            return wrong(message, "give both the same channels, size and conditions");
        }
        if self.critic_steps == 0 {
            return wrong(
                "a discriminator that takes no steps".to_owned(),
                "give `critic_steps` 1 or more",
            );
        }
        let penalty = match self.penalty {
            Penalty::None => true,
            Penalty::Gradient { weight } => weight > 0.0,
            Penalty::R1 { gamma, every } => gamma > 0.0 && every > 0,
            Penalty::Clip { limit } => limit > 0.0,
        };
        if !penalty {
            let message = format!("a penalty of {:?} is out of range", self.penalty);
            return wrong(message, "weights and limits are positive");
        }
        if self.needs_second_order() && self.discriminator.mixes_pictures() {
            return wrong(
                "a gradient penalty looks at one picture at a time, and batch normalisation mixes \
                 them"
                    .to_owned(),
                "give the discriminator `instance`, `spectral` or no normalisation",
            );
        }
        if self.objective == Objective::Wasserstein
            && self.penalty == Penalty::None
            && !matches!(&self.discriminator, Judge::ResNet(_))
            && !matches!(&self.discriminator, Judge::Dcgan(c) if c.norm == dcgan::CriticNorm::Spectral)
        {
            return wrong(
                "nothing keeps the Wasserstein critic in bounds".to_owned(),
                "give a gradient penalty, clipping, or spectral normalisation",
            );
        }
        Ok(())
    }

    /// Whether training needs gradients of gradients.
    pub fn needs_second_order(&self) -> bool {
        matches!(self.penalty, Penalty::Gradient { .. } | Penalty::R1 { .. })
    }
}

/// Trains a generator from noise and a discriminator against each other.
#[derive(Debug)]
pub struct Noise {
    setup: NoiseSetup,
    generator: Learner<dyn NoiseGenerator>,
    discriminator: Learner<dyn Discriminator>,
    seed: Seed,
    verdict: Option<Verdict>,
}

/// What chance gives a step.
#[derive(Debug)]
pub(super) struct Draws {
    /// For each step of the discriminator: noise, and shares between real and made.
    pub(super) critic: Vec<(Tensor, Tensor)>,
    /// For the generator, when it does not go on with the pictures that were judged.
    pub(super) generator: Option<Tensor>,
}

impl Noise {
    /// Both networks with made-up weights; `numbers` of weights and where they are.
    ///
    /// # Errors
    /// `invalid_request` when the setup does not fit or second-order gradients are needed and off.
    pub fn new(setup: NoiseSetup, seed: Seed, at: (candle_core::DType, &Device)) -> Result<Self> {
        setup.validate()?;
        if setup.needs_second_order() {
            check_second_order()?;
        }
        let source = setup.generator.clone();
        let made = maker(move |vb| source.build(BatchNormMode::Train, vb));
        let lesson = setup.generator_lesson.clone();
        let generator = Learner::new("generator", made, lesson, seed, at)?;
        let lesson = setup.discriminator_lesson.clone();
        let judge = make(&setup.discriminator);
        let discriminator = Learner::new("discriminator", judge, lesson, seed, at)?;
        Ok(Self {
            setup,
            generator,
            discriminator,
            seed,
            verdict: None,
        })
    }

    /// Whether the generator goes on with the very pictures that the discriminator just judged, as
    /// DCGAN does, or makes others after several steps of the critic.
    fn shares_noise(&self) -> bool {
        self.setup.critic_steps == 1
    }

    fn draws(&self, count: usize, step: u64) -> Result<Draws> {
        let mut chance = Chance::at(self.seed, "noise", step);
        let critic = (0..self.setup.critic_steps).map(|_| {
            let noise = self.noise(&mut chance, count)?;
            let parameters = self.generator.parameters();
            let at = (parameters.dtype(), parameters.device());
            let epsilon = chance.uniform_tensor((count, 1, 1, 1), (0.0, 1.0), at.0, at.1)?;
            Ok((noise, epsilon))
        });
        let critic = critic.collect::<Result<_>>()?;
        let generator = if self.shares_noise() {
            None
        } else {
            Some(self.noise(&mut chance, count)?)
        };
        Ok(Draws { critic, generator })
    }

    fn noise(&self, chance: &mut Chance, count: usize) -> Result<Tensor> {
        let [latent, ..] = self.setup.generator.shape();
        let parameters = self.generator.parameters();
        let at = (parameters.dtype(), parameters.device());
        chance.normal_tensor((count, latent, 1, 1), (0.0, 1.0), at.0, at.1)
    }

    /// A step with given chance.
    pub(super) fn step_with(&mut self, batch: &Batch, draws: &Draws, step: u64) -> Result<Terms> {
        let parameters = self.generator.parameters();
        let batch = batch.to(parameters.dtype(), parameters.device())?;
        let parts = draws.critic.len();
        if batch.is_empty() || !batch.len().is_multiple_of(parts) {
            let message = format!("{} pictures for {parts} steps", batch.len());
            return Err(Error::new(Code::Internal, message));
        }
        let count = batch.len() / parts;
        let live = self.generator.live()?;
        let mut shared = None;
        let mut critic_terms = Terms::default();
        let mut condition = None;
        for (part, (noise, epsilon)) in draws.critic.iter().enumerate() {
            let cut = |tensor: &Tensor| tensor.narrow(0, part * count, count).in_network();
            let real = into_range(&cut(batch.kind(0)?)?, Range::Signed)?;
            condition = batch.condition.as_ref().map(cut).transpose()?;
            let fake = if draws.generator.is_none() {
                let fake = self.generated(&*live, noise, condition.as_ref())?;
                shared = Some(fake.clone());
                fake.detach()
            } else {
                self.generated(&*self.generator.frozen()?, noise, condition.as_ref())?
            };
            critic_terms = self.teach_critic(&real, &fake, epsilon, condition.as_ref(), step)?;
        }
        let fake = match (&draws.generator, shared) {
            (Some(noise), _) => self.generated(&*live, noise, condition.as_ref())?,
            (None, Some(fake)) => fake,
            (None, None) => {
                let message = "a step without a step of the discriminator";
                return Err(Error::new(Code::Internal, message));
            }
        };
        // Those of the last step of the discriminator, whose condition the generator has, too.
        let real = batch.kind(0)?.narrow(0, (parts - 1) * count, count);
        let real = into_range(&real.in_network()?, Range::Signed)?;
        self.teach_generator(&fake, &real, condition.as_ref(), critic_terms, step)
    }

    fn teach_critic(
        &mut self,
        real: &Tensor,
        fake: &Tensor,
        epsilon: &Tensor,
        condition: Option<&Tensor>,
        step: u64,
    ) -> Result<Terms> {
        let network = self.discriminator.live()?;
        let judge = |pictures: &Tensor| look(&self.discriminator, &*network, pictures, condition);
        let (of_real, of_fake) = (judge(real)?, judge(fake)?);
        let mut terms = Terms::default();
        let parts = self.setup.objective.critic(&of_real, &of_fake)?;
        let mut loss = parts.sum()?;
        let penalty = match self.setup.penalty {
            Penalty::Gradient { weight } => {
                Some(gradient_penalty(judge, real, fake, epsilon, weight)?)
            }
            Penalty::R1 { gamma, every } if step.is_multiple_of(every) => {
                Some(r1_penalty(judge, real, gamma * every as f64)?)
            }
            _ => None,
        };
        if self.setup.objective == Objective::Wasserstein {
            terms.note("wasserstein", &loss)?;
        }
        if let Some(penalty) = penalty {
            terms.note("penalty", &penalty)?;
            loss = (loss + penalty).in_network()?;
        } else if self.setup.needs_second_order() {
            // Every step reports the same terms.
            terms.note_number("penalty", 0.0)?;
        }
        terms.note("d", &loss)?;
        self.verdict = self.setup.objective.verdict(&of_real, &of_fake)?;
        let mut gradients = loss.backward().in_network()?;
        self.discriminator.learn(&mut gradients, step)?;
        if let Penalty::Clip { limit } = self.setup.penalty {
            for (_, var) in self.discriminator.parameters().trained() {
                let cut = var.as_tensor().detach().clamp(-limit, limit).in_network()?;
                var.set(&cut).in_network()?;
            }
        }
        Ok(terms)
    }

    fn teach_generator(
        &mut self,
        fake: &Tensor,
        real: &Tensor,
        condition: Option<&Tensor>,
        mut terms: Terms,
        step: u64,
    ) -> Result<Terms> {
        let network = self.discriminator.frozen()?;
        let of_fake = look(&self.discriminator, &*network, fake, condition)?;
        let of_real = if self.setup.objective.needs_real() {
            Some(look(&self.discriminator, &*network, real, condition)?)
        } else {
            None
        };
        let loss = self.setup.objective.generator(&of_fake, of_real.as_ref())?;
        terms.note("g", &loss)?;
        let mut gradients = loss.backward().in_network()?;
        self.generator.learn(&mut gradients, step)?;
        Ok(terms)
    }

    /// The learners, for tests and tools: generator and discriminator.
    pub fn learners(&self) -> (&Learner<dyn NoiseGenerator>, &Learner<dyn Discriminator>) {
        (&self.generator, &self.discriminator)
    }

    /// What a learning generator makes of noise and condition `[n, k]`, from −1 to 1.
    fn generated(
        &self,
        generator: &dyn NoiseGenerator,
        noise: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<Tensor> {
        let numbers = self.generator.numbers();
        let act = |tensor: &Tensor| Act::from_tensor(tensor.to_dtype(numbers).in_network()?);
        let condition = condition.map(|tensor| {
            let (count, values) = tensor.dims2().in_network()?;
            act(&tensor.reshape((count, values, 1, 1)).in_network()?)
        });
        let made = generator.generate(&act(noise)?, condition.transpose()?.as_ref())?;
        let kept = self.generator.parameters().dtype();
        made.to_tensor()?.to_dtype(kept).in_network()
    }

    /// Pictures from 0 to 1 that the trained generator makes.
    fn samples(&self, noise: &Tensor, condition: Option<&Tensor>) -> Result<Tensor> {
        let backend = for_use(self.generator.parameters().device());
        let network = self
            .setup
            .generator
            .load(&self.generator.best()?, &backend)?;
        let pictures = sample(&*network, &backend, noise, condition)?;
        from_range(&pictures, Range::Signed)
    }
}

/// Pictures `[n, channels, height, width]` from −1 to 1 that a generator makes, on whatever it runs,
/// of noise `[n, latent, 1, 1]` and, where it has conditions, a condition `[n, conditions]`.
///
/// # Errors
/// `invalid_request` when the condition does not fit, `oom` when there is no memory.
pub fn sample(
    generator: &dyn NoiseGenerator,
    backend: &Backend,
    noise: &Tensor,
    condition: Option<&Tensor>,
) -> Result<Tensor> {
    let import = |tensor: &Tensor| {
        let count = tensor.dims()[0];
        let channels = tensor.elem_count() / count.max(1);
        let tensor = tensor.to_dtype(candle_core::DType::F32).in_network()?;
        let values = tensor.flatten_all().in_network()?;
        let values = values.to_vec1::<f32>().in_network()?;
        let dims = fonds_nn::Dims {
            batch: count,
            channels,
            height: 1,
            width: 1,
        };
        backend.import(dims, &values)
    };
    let condition = condition.map(import).transpose()?;
    generator
        .generate(&import(noise)?, condition.as_ref())?
        .to_tensor()
}

impl Trainer for Noise {
    fn batches_per_step(&self) -> usize {
        self.setup.critic_steps
    }

    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms> {
        let count = batch.len() / self.setup.critic_steps;
        let draws = self.draws(count, step)?;
        self.step_with(batch, &draws, step)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>> {
        const COLUMNS: usize = 8;
        let mut chance = Chance::new(self.seed, "show");
        let noise = self.noise(&mut chance, fixed.len())?;
        let pictures = self.samples(&noise, fixed.condition.as_ref())?;
        let indices: Vec<usize> = (0..fixed.len()).collect();
        let rows = indices
            .chunks(COLUMNS)
            .map(|row| row.iter().map(|&index| shown(&pictures, index)).collect());
        rows.collect()
    }

    fn make(&self, batch: &Batch, draw: u64) -> Result<Tensor> {
        let mut chance = Chance::at(self.seed, "make", draw);
        let noise = self.noise(&mut chance, batch.len())?;
        self.samples(&noise, batch.condition.as_ref())
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
