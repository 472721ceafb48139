//! `CycleGAN`: two sets of pictures without pairs, two generators that undo each other.
//!
//! Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*
//! (2017), arXiv:1703.10593.

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
use super::{Pool, Translator};
use crate::models::noise::Discriminator;
use crate::objectives::Objective;

/// Who plays, and how.
#[derive(Debug, Clone)]
pub struct CycleGanSetup {
    /// The generators, both ways.
    pub generator: Translator,
    /// The discriminators of both sets.
    pub discriminator: Judge,
    /// The game; the paper's is [`Objective::LeastSquares`].
    pub objective: Objective,
    /// What the mean absolute difference counts between a picture and what comes back after there
    /// and back; the paper's is 10.
    pub cycle_weight: f64,
    /// What a change counts, as a share of `cycle_weight`, that a generator makes to a picture which
    /// is already as it should be; the paper's is 0.5, for photographs.
    pub identity_weight: f64,
    /// Pictures of earlier steps that discriminators are shown; the paper's is 50.
    pub pool: usize,
    /// How the generators learn.
    pub generator_lesson: Lesson,
    /// How the discriminators learn.
    pub discriminator_lesson: Lesson,
}

impl CycleGanSetup {
    /// That the networks fit each other.
    ///
    /// # Errors
    /// `invalid_request` that says what does not fit.
    pub fn validate(&self) -> Result<()> {
        let [inner, outer] = self.generator.channels();
        let judged = self.discriminator.channels();
        if inner == outer && judged == outer {
            return Ok(());
        }
        let message = format!(
            "a CycleGAN of generators from {inner} to {outer} channels and discriminators of {judged}"
        );
        Err(Error::new(Code::InvalidRequest, message).hint("give all the same channels"))
    }
}

/// Trains two generators and two discriminators.
#[derive(Debug)]
pub struct CycleGan {
    setup: CycleGanSetup,
    a_to_b: Learner<dyn Network>,
    b_to_a: Learner<dyn Network>,
    judge_a: Learner<dyn Discriminator>,
    judge_b: Learner<dyn Discriminator>,
    made_a: Pool,
    made_b: Pool,
    seed: Seed,
    verdict: Option<Verdict>,
}

impl CycleGan {
    /// All networks with made-up weights; `at` gives the numbers of weights and where they are.
    ///
    /// # Errors
    /// `invalid_request` when the setup does not fit.
    pub fn new(setup: CycleGanSetup, seed: Seed, at: (DType, &Device)) -> Result<Self> {
        setup.validate()?;
        let generator = |name| {
            let lesson = setup.generator_lesson.clone();
            Learner::new(name, setup.generator.make(None), lesson, seed, at)
        };
        let judge = |name| {
            let lesson = setup.discriminator_lesson.clone();
            Learner::new(name, make(&setup.discriminator), lesson, seed, at)
        };
        Ok(Self {
            a_to_b: generator("generator from a to b")?,
            b_to_a: generator("generator from b to a")?,
            judge_a: judge("discriminator of a")?,
            judge_b: judge("discriminator of b")?,
            made_a: Pool::new(setup.pool),
            made_b: Pool::new(setup.pool),
            setup,
            seed,
            verdict: None,
        })
    }

    /// The generators, for tests and tools: from a to b, and back.
    pub fn generators(&self) -> [&Learner<dyn Network>; 2] {
        [&self.a_to_b, &self.b_to_a]
    }

    /// The discriminators, for tests and tools: of a, of b.
    pub fn discriminators(&self) -> [&Learner<dyn Discriminator>; 2] {
        [&self.judge_a, &self.judge_b]
    }

    /// One step of both generators; what they made, of b and of a.
    fn teach_generators(
        &mut self,
        a: &Tensor,
        b: &Tensor,
        terms: &mut Terms,
        step: u64,
    ) -> Result<[Tensor; 2]> {
        let (there, back) = (self.a_to_b.live()?, self.b_to_a.live()?);
        let to_b = |x: &Tensor| forward(&self.a_to_b, &*there, x);
        let to_a = |x: &Tensor| forward(&self.b_to_a, &*back, x);
        let (made_b, made_a) = (to_b(a)?, to_a(b)?);
        let difference = |x: &Tensor, y: &Tensor| PixelLoss::Absolute.between(x, y);
        let cycle = self.setup.cycle_weight;
        let scaled = |loss: Tensor, weight: f64| (loss * weight).in_network();

        let mut losses = Vec::new();
        let mut add = |name: &'static str, loss: Tensor| {
            terms.note(name, &loss)?;
            losses.push((1.0, loss));
            Ok::<_, Error>(())
        };
        if self.setup.identity_weight > 0.0 {
            let weight = cycle * self.setup.identity_weight;
            add("idt_a", scaled(difference(&to_a(a)?, a)?, weight)?)?;
            add("idt_b", scaled(difference(&to_b(b)?, b)?, weight)?)?;
        }
        let game = |judge: &Learner<dyn Discriminator>, made: &Tensor, real: &Tensor| {
            let network = judge.frozen()?;
            let of_made = look(judge, &*network, made, None)?;
            let of_real = if self.setup.objective.needs_real() {
                Some(look(judge, &*network, real, None)?)
            } else {
                None
            };
            self.setup.objective.generator(&of_made, of_real.as_ref())
        };
        add("gan_ab", game(&self.judge_b, &made_b, b)?)?;
        add("gan_ba", game(&self.judge_a, &made_a, a)?)?;
        add("cycle_a", scaled(difference(&to_a(&made_b)?, a)?, cycle)?)?;
        add("cycle_b", scaled(difference(&to_b(&made_a)?, b)?, cycle)?)?;

        let Some(loss) = weighted(&losses)? else {
            return Err(Error::new(Code::Internal, "a step without a loss"));
        };
        let mut gradients = loss.backward().in_network()?;
        self.a_to_b.learn(&mut gradients, step)?;
        self.b_to_a.learn(&mut gradients, step)?;
        Ok([made_b.detach(), made_a.detach()])
    }

    /// What a trained generator makes of pictures from 0 to 1.
    fn translated(&self, generator: &Learner<dyn Network>, pictures: &Tensor) -> Result<Tensor> {
        let backend = for_use(generator.parameters().device());
        let network = self.setup.generator.load(&generator.best()?, &backend)?;
        translate(&*network, &backend, pictures)
    }
}

/// One step of a discriminator; what it made of real and of made pictures.
fn teach_judge(
    judge: &mut Learner<dyn Discriminator>,
    objective: Objective,
    (real, made): (&Tensor, &Tensor),
    (terms, name): (&mut Terms, &'static str),
    step: u64,
) -> Result<Option<Verdict>> {
    let network = judge.live()?;
    let of_real = look(judge, &*network, real, None)?;
    let of_made = look(judge, &*network, made, None)?;
    let loss = objective.critic(&of_real, &of_made)?.sum()?;
    // Half the pace of the generators, as in the paper.
    let loss = (loss * 0.5).in_network()?;
    terms.note(name, &loss)?;
    let verdict = objective.verdict(&of_real, &of_made)?;
    let mut gradients = loss.backward().in_network()?;
    judge.learn(&mut gradients, step)?;
    Ok(verdict)
}

impl Trainer for CycleGan {
    fn step(&mut self, batch: &Batch, step: u64) -> Result<Terms> {
        let parameters = self.a_to_b.parameters();
        let batch = batch.to(parameters.dtype(), parameters.device())?;
        let range = self.setup.generator.range();
        let a = into_range(batch.kind(0)?, range)?;
        let b = into_range(batch.kind(1)?, range)?;
        let mut terms = Terms::default();
        let [made_b, made_a] = self.teach_generators(&a, &b, &mut terms, step)?;
        let mut chance = Chance::at(self.seed, "pool", step);
        let made_b = self.made_b.exchange(&made_b, &mut chance)?;
        let made_a = self.made_a.exchange(&made_a, &mut chance)?;
        let objective = self.setup.objective;
        let judge = (&mut self.judge_a, (&a, &made_a), "d_a");
        let of_a = teach_judge(judge.0, objective, judge.1, (&mut terms, judge.2), step)?;
        let judge = (&mut self.judge_b, (&b, &made_b), "d_b");
        let of_b = teach_judge(judge.0, objective, judge.1, (&mut terms, judge.2), step)?;
        self.verdict = of_a.zip(of_b).map(|(of_a, of_b)| Verdict {
            real: f64::midpoint(of_a.real, of_b.real),
            fake: f64::midpoint(of_a.fake, of_b.fake),
        });
        Ok(terms)
    }

    fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Each row: a, what is made of it, what comes back; b, what is made of it, what comes back.
    fn show(&self, fixed: &Batch) -> Result<Vec<Vec<Tensor>>> {
        let (a, b) = (fixed.kind(0)?, fixed.kind(1)?);
        let made_b = self.translated(&self.a_to_b, a)?;
        let made_a = self.translated(&self.b_to_a, b)?;
        let back_a = self.translated(&self.b_to_a, &made_b)?;
        let back_b = self.translated(&self.a_to_b, &made_a)?;
        rows(&[a, &made_b, &back_a, b, &made_a, &back_b])
    }

    fn make(&self, batch: &Batch, _: u64) -> Result<Tensor> {
        self.translated(&self.a_to_b, batch.kind(0)?)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        state.nest("a_to_b", self.a_to_b.state()?);
        state.nest("b_to_a", self.b_to_a.state()?);
        state.nest("judge_a", self.judge_a.state()?);
        state.nest("judge_b", self.judge_b.state()?);
        state.nest("made_a", self.made_a.state());
        state.nest("made_b", self.made_b.state());
        Ok(state)
    }

    fn restore(&mut self, mut state: State) -> Result<()> {
        let device = self.a_to_b.parameters().device().clone();
        self.a_to_b.restore(state.take("a_to_b"))?;
        self.b_to_a.restore(state.take("b_to_a"))?;
        self.judge_a.restore(state.take("judge_a"))?;
        self.judge_b.restore(state.take("judge_b"))?;
        self.made_a.restore(state.take("made_a"), &device)?;
        self.made_b.restore(state.take("made_b"), &device)
    }

    fn exports(&self) -> Result<Vec<Export>> {
        let what = self.setup.generator.name();
        Ok(vec![
            export("a_to_b", what, &self.a_to_b)?,
            export("b_to_a", what, &self.b_to_a)?,
        ])
    }
}
